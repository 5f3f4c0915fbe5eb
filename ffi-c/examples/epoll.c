/* A thousand exchanges from one thread with epoll, a hundred of them under way at a time.
 *
 * KALTURA_PARTNER_ID, KALTURA_ADMIN_SECRET and KALTURA_SERVICE_URL say where. */
#include <kaltura_app_token.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { EXCHANGES = 1000, AT_A_TIME = 100 };

static int fail(kat_status status, kat_error *error) {
    fprintf(stderr, "%s: %s\n", kat_status_name(status), error ? kat_error_message(error) : "");
    kat_error_free(error);
    return 1;
}

/* Submits until the queue is full or there is nothing more to submit. */
static kat_status submit(const kat_client *client, const kat_session_params *exchange, const kat_queue *queue,
                         unsigned *submitted, kat_error **error) {
    kat_status status = KAT_STATUS_OK;
    while (*submitted < EXCHANGES && status == KAT_STATUS_OK) {
        status = kat_client_start_session_submit(client, exchange, queue, *submitted, NULL, error);
        if (status == KAT_STATUS_OK)
            ++*submitted;
    }
    return status == KAT_STATUS_QUEUE_FULL ? KAT_STATUS_OK : status;
}

/* Collects what has completed. */
static kat_status collect(const kat_queue *queue, unsigned *completed, kat_error **error) {
    kat_completion *completion = NULL;
    kat_status status;
    while ((status = kat_queue_next(queue, 0, &completion, error)) == KAT_STATUS_OK) {
        kat_session *session = NULL;
        status = kat_completion_status(completion);
        if (status != KAT_STATUS_OK)
            kat_completion_take_error(completion, error);
        else
            status = kat_completion_take_session(completion, &session, error);
        /* kat_completion_tag(completion) says which exchange it was; the session would be used here. */
        kat_session_free(session);
        kat_completion_free(completion);
        if (status != KAT_STATUS_OK)
            return status;
        ++*completed;
    }
    return status == KAT_STATUS_QUEUE_EMPTY ? KAT_STATUS_OK : status;
}

static kat_status exchange_all(const kat_client *client, const kat_session_params *exchange, const kat_queue *queue,
                               kat_error **error) {
    unsigned submitted = 0, completed = 0;
    kat_status status = KAT_STATUS_OK;
    struct epoll_event event = {EPOLLIN, {0}};
    int events = epoll_create1(EPOLL_CLOEXEC);
    epoll_ctl(events, EPOLL_CTL_ADD, kat_queue_fd(queue), &event);
    while (status == KAT_STATUS_OK && completed < EXCHANGES) {
        status = submit(client, exchange, queue, &submitted, error);
        if (status == KAT_STATUS_OK && epoll_wait(events, &event, 1, -1) > 0)
            status = collect(queue, &completed, error);
    }
    close(events);
    printf("%u exchanges\n", completed);
    return status;
}

static kat_status run(const kat_client *client, kat_error **error) {
    kat_token *token = NULL;
    kat_queue *queue = NULL;
    kat_token_params *wanted = kat_token_params_new();
    kat_session_params *exchange = kat_session_params_new();
    kat_token_params_set_description(wanted, "epoll example");
    kat_token_params_set_session_user_id(wanted, "alice");
    kat_status status = kat_client_add_token(client, wanted, NULL, &token, error);
    kat_token_params_free(wanted);
    if (status == KAT_STATUS_OK)
        status = kat_queue_new(AT_A_TIME, &queue, error);
    if (status == KAT_STATUS_OK) {
        kat_session_params_set_token(exchange, kat_token_id(token), kat_token_value(token));
        status = exchange_all(client, exchange, queue, error);
    }
    kat_queue_free(queue);
    if (status == KAT_STATUS_OK)
        status = kat_client_delete_token(client, kat_token_id(token), NULL, error);
    kat_session_params_free(exchange);
    kat_token_free(token);
    return status;
}

int main(void) {
    kat_config *config = NULL;
    kat_client *client = NULL;
    kat_error *error = NULL;

    kat_status status = kat_config_from_env(&config, &error);
    if (status == KAT_STATUS_OK)
        status = kat_client_new(config, &client, &error);
    if (status == KAT_STATUS_OK)
        status = run(client, &error);
    kat_client_free(client);
    kat_config_free(config);
    return status == KAT_STATUS_OK ? 0 : fail(status, error);
}
