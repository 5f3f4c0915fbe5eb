/* The completion queue: what is promised of completions, of the descriptor, of cancelling and of freeing. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "support.h"

static kat_queue *new_queue(size_t limit) {
    kat_queue *queue = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_queue_new(limit, &queue, &error));
    return queue;
}

/* What poll, select and epoll say must agree. */
static bool readable(const kat_queue *queue) {
    int fd = kat_queue_fd(queue);
    struct pollfd polled = {fd, POLLIN, 0};
    CHECK(poll(&polled, 1, 0) >= 0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(fd, &set);
    struct timeval none = {0, 0};
    CHECK(select(fd + 1, &set, NULL, NULL, &none) >= 0);
    int watcher = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {EPOLLIN, {0}};
    CHECK(epoll_ctl(watcher, EPOLL_CTL_ADD, fd, &event) == 0);
    int ready = epoll_wait(watcher, &event, 1, 0);
    close(watcher);
    bool yes = (polled.revents & POLLIN) != 0;
    CHECK(yes == (FD_ISSET(fd, &set) != 0) && yes == (ready == 1));
    return yes;
}

static void wait_readable(const kat_queue *queue) {
    struct pollfd polled = {kat_queue_fd(queue), POLLIN, 0};
    CHECK(poll(&polled, 1, 20000) == 1);
}

static kat_completion *next(const kat_queue *queue) {
    kat_completion *completion = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    return completion;
}

static size_t open_descriptors(void) {
    size_t count = 0;
    DIR *directory = opendir("/proc/self/fd");
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* Every operation, submitted at once; each completion has the tag, kind and result of its own. */
static void every_operation(const kat_client *client) {
    kat_error *error = NULL;
    kat_queue *queue = new_queue(100);
    kat_token *token = test_token(client), *doomed = test_token(client);
    kat_session_params *exchange = exchange_of(token);
    kat_token_params *params = kat_token_params_new();
    kat_session *session = NULL;
    uint64_t operation = 0;
    kat_token_params_set_description(params, "queued");
    CHECK_OK(kat_client_start_session(client, exchange, NULL, &session, &error));
    CHECK(!readable(queue));
#define TAG(kind) ((uint64_t)KAT_OPERATION_##kind << 40 | 7)
    CHECK_OK(kat_client_add_token_submit(client, params, queue, TAG(ADD_TOKEN), &operation, &error));
    CHECK_OK(kat_client_get_token_submit(client, kat_token_id(token), NULL, queue, TAG(GET_TOKEN), NULL, &error));
    CHECK_OK(kat_client_update_token_submit(client, kat_token_id(token), params, queue, TAG(UPDATE_TOKEN), NULL, &error));
    CHECK_OK(kat_client_delete_token_submit(client, kat_token_id(doomed), queue, TAG(DELETE_TOKEN), NULL, &error));
    CHECK_OK(kat_client_list_tokens_submit(client, NULL, queue, TAG(LIST_TOKENS), NULL, &error));
    CHECK_OK(kat_client_start_session_submit(client, exchange, queue, TAG(START_SESSION), NULL, &error));
    CHECK_OK(kat_client_start_widget_session_submit(client, queue, TAG(START_WIDGET_SESSION), NULL, &error));
    CHECK_OK(kat_client_start_admin_session_submit(client, queue, TAG(START_ADMIN_SESSION), NULL, &error));
    CHECK_OK(kat_client_session_info_submit(client, NULL, queue, TAG(SESSION_INFO), NULL, &error));
    CHECK_OK(kat_client_end_session_submit(client, kat_session_ks(session), queue, TAG(END_SESSION), NULL, &error));
    /* What a call was given is copied. */
    kat_token_params_free(params);
    kat_session_params_free(exchange);
    kat_token_free(doomed);
    bool seen[11] = {false};
    for (int i = 0; i < 10; i++) {
        kat_completion *done = next(queue);
        int kind = kat_completion_kind(done);
        CHECK(kind >= 1 && kind <= 10 && !seen[kind]);
        seen[kind] = true;
        CHECK(kat_completion_tag(done) == ((uint64_t)kind << 40 | 7));
        CHECK(kind != KAT_OPERATION_ADD_TOKEN || kat_completion_operation(done) == operation);
        CHECK(kat_completion_status(done) == KAT_STATUS_OK);
        kat_token *got = NULL;
        kat_token_list *list = NULL;
        kat_session *started = NULL;
        kat_session_info *info = NULL;
        bool tokens = kind <= KAT_OPERATION_UPDATE_TOKEN, lists = kind == KAT_OPERATION_LIST_TOKENS;
        bool starts = kind >= KAT_OPERATION_START_SESSION && kind <= KAT_OPERATION_START_ADMIN_SESSION;
        bool infos = kind == KAT_OPERATION_SESSION_INFO;
        for (int again = 0; again < 2; again++) {
            kat_status once = again ? KAT_STATUS_WRONG_TAKE : KAT_STATUS_OK;
            CHECK_STATUS(tokens ? once : KAT_STATUS_WRONG_TAKE, kat_completion_take_token(done, &got, &error));
            CHECK_STATUS(lists ? once : KAT_STATUS_WRONG_TAKE, kat_completion_take_list(done, &list, &error));
            CHECK_STATUS(starts ? once : KAT_STATUS_WRONG_TAKE, kat_completion_take_session(done, &started, &error));
            CHECK_STATUS(infos ? once : KAT_STATUS_WRONG_TAKE, kat_completion_take_session_info(done, &info, &error));
            CHECK(kat_completion_take_error(done, &error) == KAT_STATUS_WRONG_TAKE);
        }
        kat_completion_free(done);
        CHECK(!tokens || kat_token_id(got) != NULL);
        CHECK(!lists || kat_token_list_len(list) > 0);
        CHECK(!starts || strlen(kat_session_ks(started)) > 20);
        CHECK(!infos || kat_session_info_session_type(info) == KAT_SESSION_TYPE_ADMIN);
        kat_token_free(got);
        kat_token_list_free(list);
        kat_session_free(started);
        kat_session_info_free(info);
    }
    CHECK(!readable(queue) && kat_queue_in_flight(queue) == 0);
    kat_session_free(session);
    kat_token_free(token);
    kat_queue_free(queue);
}

static void the_descriptor_is_readable_exactly_while_something_waits(const kat_client *client) {
    kat_error *error = NULL;
    kat_completion *completion = NULL;
    kat_queue *queue = new_queue(3);
    CHECK(fcntl(kat_queue_fd(queue), F_GETFD) & FD_CLOEXEC);
    CHECK(!readable(queue));
    CHECK_STATUS(KAT_STATUS_QUEUE_EMPTY, kat_queue_next(queue, 0, &completion, &error));
    double start = seconds_now();
    CHECK_STATUS(KAT_STATUS_QUEUE_EMPTY, kat_queue_next(queue, 50, &completion, &error));
    CHECK(seconds_now() - start >= 0.045 && completion == NULL);
    for (int i = 0; i < 3; i++)
        CHECK_OK(kat_client_start_widget_session_submit(client, queue, 5, NULL, &error));
    /* Beyond the limit: said at once, nothing sent; and until completions are collected, not only come. */
    CHECK_STATUS(KAT_STATUS_QUEUE_FULL, kat_client_start_widget_session_submit(client, queue, 5, NULL, &error));
    wait_readable(queue);
    while (kat_queue_in_flight(queue) > 0) {
        kat_completion_free(next(queue));
        if (kat_queue_in_flight(queue) == 0)
            CHECK(!readable(queue));
    }
    CHECK_OK(kat_client_start_widget_session_submit(client, queue, 6, NULL, &error));
    wait_readable(queue);
    CHECK(readable(queue) && readable(queue));
    CHECK_OK(kat_queue_next(queue, 0, &completion, &error));
    CHECK(!readable(queue) && kat_completion_tag(completion) == 6);
    kat_completion_free(completion);
    kat_queue_free(queue);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_queue_new(0, &queue, &error));
}

static void failures_come_with_their_error(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    kat_queue *queue = new_queue(2);
    CHECK_OK(kat_client_get_token_submit(client, "0_nothere", NULL, queue, 1, NULL, &error));
    kat_completion *done = next(queue);
    CHECK(kat_completion_status(done) == KAT_STATUS_API);
    CHECK_STATUS(KAT_STATUS_WRONG_TAKE, kat_completion_take_token(done, &token, &error));
    CHECK(kat_completion_take_error(done, &error) == KAT_STATUS_OK);
    CHECK_TEXT("APP_TOKEN_ID_NOT_FOUND", kat_error_api_code(error));
    kat_error_free(error);
    CHECK(kat_completion_take_error(done, &error) == KAT_STATUS_WRONG_TAKE);
    kat_completion_free(done);
    /* Arguments are refused by the submission itself. */
    error = NULL;
    CHECK_STATUS(KAT_STATUS_NULL_ARG, kat_client_get_token_submit(client, NULL, NULL, queue, 1, NULL, &error));
    CHECK(kat_queue_in_flight(queue) == 0);
    kat_queue_free(queue);
}

/* Many equal tags; some calls cancelled by their number; one completion for each all the same. */
static void cancelled_calls_complete_too(const kat_client *client, const char *id) {
    enum { CALLS = 60 };
    kat_error *error = NULL;
    kat_token_params *params = kat_token_params_new();
    kat_queue *queue = new_queue(CALLS + 1);
    uint64_t operations[CALLS], creation = 0;
    bool completed[CALLS] = {false};
    sandbox_fault("[{\"action\":\"appToken.get\",\"fault\":\"latency\",\"ms\":2000,\"times\":60},"
                  "{\"action\":\"appToken.add\",\"fault\":\"latency\",\"ms\":19000}]");
    double start = seconds_now();
    for (int i = 0; i < CALLS; i++)
        CHECK_OK(kat_client_get_token_submit(client, id, NULL, queue, 42, &operations[i], &error));
    CHECK_OK(kat_client_add_token_submit(client, params, queue, 43, &creation, &error));
    usleep(150000);
    for (int i = 0; i < CALLS; i += 2)
        CHECK_OK(kat_queue_cancel(queue, operations[i], &error));
    CHECK_OK(kat_queue_cancel(queue, creation, &error));
    for (int i = 0; i <= CALLS; i++) {
        kat_completion *done = next(queue);
        uint64_t operation = kat_completion_operation(done);
        if (operation == creation) {
            /* On a busy machine it may not have been sent yet. */
            kat_status status = kat_completion_status(done);
            CHECK(status == KAT_STATUS_OUTCOME_UNKNOWN || status == KAT_STATUS_CANCELLED);
            CHECK(kat_completion_tag(done) == 43);
        } else {
            int at = (int)(operation - operations[0]);
            CHECK(at >= 0 && at < CALLS && !completed[at] && kat_completion_tag(done) == 42);
            completed[at] = true;
            CHECK(kat_completion_status(done) == (at % 2 == 0 ? KAT_STATUS_CANCELLED : KAT_STATUS_OK));
        }
        kat_completion_free(done);
    }
    CHECK(seconds_now() - start < 15);
    CHECK_OK(kat_queue_cancel(queue, operations[1], &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_queue_cancel(queue, creation + 1, &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_queue_cancel(queue, 0, &error));
    CHECK(!readable(queue));
    kat_queue_free(queue);
    kat_token_params_free(params);
    sandbox_control("DELETE", "faults", "", NULL, 0);
}

enum { CONSUMED = 400 };
static atomic_int consumed;

static void *consumer(void *queue) {
    while (atomic_load(&consumed) < CONSUMED) {
        kat_completion *done = NULL;
        kat_status status = kat_queue_next((const kat_queue *)queue, 20, &done, NULL);
        CHECK(status == KAT_STATUS_OK || status == KAT_STATUS_QUEUE_EMPTY);
        if (status == KAT_STATUS_OK) {
            CHECK(kat_completion_status(done) == KAT_STATUS_OK);
            atomic_fetch_add(&consumed, 1);
            kat_completion_free(done);
        }
    }
    return NULL;
}

static void several_consumers(const kat_client *client) {
    kat_error *error = NULL;
    pthread_t threads[4];
    kat_queue *queue = new_queue(CONSUMED);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, consumer, queue) == 0);
    for (int i = 0; i < CONSUMED; i++)
        CHECK_OK(kat_client_start_widget_session_submit(client, queue, (uint64_t)i, NULL, &error));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&consumed) == CONSUMED && kat_queue_in_flight(queue) == 0);
    kat_queue_free(queue);
}

static void freeing_gives_up_what_is_in_flight(const char *id) {
    kat_error *error = NULL;
    size_t before = open_descriptors();
    for (int client_first = 0; client_first < 2; client_first++) {
        kat_client *client = test_client(ADMIN_SECRET);
        kat_queue *queue = new_queue(50);
        CHECK_OK(kat_client_start_widget_session_submit(client, queue, 0, NULL, &error));
        wait_readable(queue); /* one completion that nobody collects */
        sandbox_fault("{\"action\":\"appToken.get\",\"fault\":\"latency\",\"ms\":19000,\"times\":20}");
        for (int i = 0; i < 20; i++)
            CHECK_OK(kat_client_get_token_submit(client, id, NULL, queue, 1, NULL, &error));
        usleep(50000);
        double start = seconds_now();
        if (client_first)
            kat_client_free(client);
        kat_queue_free(queue);
        if (!client_first)
            kat_client_free(client);
        CHECK(seconds_now() - start < 15);
        sandbox_control("DELETE", "faults", "", NULL, 0);
    }
    CHECK(open_descriptors() == before);
}

/* Calls go on when their client is freed; and blocking calls work beside the queue's thread. */
static void a_client_may_go_first(const kat_token *token) {
    kat_error *error = NULL;
    kat_client *client = test_client(ADMIN_SECRET);
    kat_queue *queue = new_queue(10);
    kat_token *got = NULL;
    for (int i = 0; i < 5; i++) {
        CHECK_OK(kat_client_get_token_submit(client, kat_token_id(token), NULL, queue, 1, NULL, &error));
        CHECK_OK(kat_client_get_token(client, kat_token_id(token), NULL, NULL, &got, &error));
        kat_token_free(got);
    }
    kat_client_free(client);
    for (int i = 0; i < 5; i++) {
        kat_completion *done = next(queue);
        CHECK(kat_completion_status(done) == KAT_STATUS_OK);
        kat_completion_free(done);
    }
    kat_queue_free(queue);
}

int main(void) {
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    every_operation(client);
    the_descriptor_is_readable_exactly_while_something_waits(client);
    failures_come_with_their_error(client);
    kat_token *token = test_token(client);
    cancelled_calls_complete_too(client, kat_token_id(token));
    several_consumers(client);
    freeing_gives_up_what_is_in_flight(kat_token_id(token));
    a_client_may_go_first(token);
    kat_token_free(token);
    kat_client_free(client);
    return 0;
}
