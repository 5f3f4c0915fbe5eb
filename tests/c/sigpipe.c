/* A server that resets a connection does not end the program, whose SIGPIPE stays its own affair. */
#include <signal.h>

#include "support.h"

#define TIMES 10
#define BIG (5 * 1024 * 1024)

static volatile sig_atomic_t caught;

static void catch(int number) {
    (void)number;
    caught++;
}

static sigset_t only_sigpipe(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    return set;
}

static sigset_t mask_now(void) {
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    return mask;
}

static bool blocked(void) {
    sigset_t mask = mask_now();
    return sigismember(&mask, SIGPIPE) == 1;
}

static bool pending(void) {
    sigset_t set;
    CHECK(sigpending(&set) == 0);
    return sigismember(&set, SIGPIPE) == 1;
}

static void consume(void) {
    const struct timespec at_once = {0, 0};
    sigset_t set = only_sigpipe();
    CHECK(sigtimedwait(&set, NULL, &at_once) == SIGPIPE);
}

static kat_client *client_of(const char *variable) {
    kat_config *config = kat_config_new();
    kat_client *client = NULL;
    kat_error *error = NULL;
    CHECK(getenv(variable) != NULL);
    kat_config_set_partner_id(config, PARTNER_ID);
    kat_config_set_admin_secret(config, ADMIN_SECRET);
    kat_config_set_service_url(config, getenv(variable));
    kat_config_set_ca_file(config, getenv("KAT_TEST_AUTHORITY"));
    kat_config_set_max_retries(config, 0);
    CHECK_OK(kat_client_new(config, &client, &error));
    kat_config_free(config);
    return client;
}

static void is_reset(const kat_client *client) {
    kat_error *error = NULL;
    kat_session *session = NULL;
    sigset_t before = mask_now();
    CHECK_STATUS(KAT_STATUS_TRANSPORT, kat_client_start_widget_session(client, NULL, &session, &error));
    sigset_t after = mask_now();
    for (int number = 1; number <= SIGRTMAX; number++)
        CHECK(sigismember(&before, number) == sigismember(&after, number));
}

static void is_reset_in(const kat_queue *queue) {
    kat_completion *completion = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    CHECK(kat_completion_status(completion) == KAT_STATUS_TRANSPORT);
    kat_completion_free(completion);
}

static void through_a_call_and_through_a_queue(const char *variable) {
    kat_client *client = client_of(variable);
    kat_queue *queue = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_queue_new(TIMES, &queue, &error));
    for (int i = 0; i < TIMES; i++)
        is_reset(client);
    for (int i = 0; i < TIMES; i++) {
        CHECK_OK(kat_client_start_widget_session_submit(client, queue, 0, NULL, &error));
        is_reset_in(queue);
    }
    kat_queue_free(queue);
    kat_client_free(client);
}

static void in_the_middle_of_a_large_body(void) {
    kat_client *client = client_of("KAT_TEST_RESETS_IN_THE_BODY");
    kat_queue *queue = NULL;
    kat_error *error = NULL;
    kat_session_info *info = NULL;
    char *text = (char *)malloc(BIG + 1);
    CHECK(text != NULL);
    memset(text, 'x', BIG);
    text[BIG] = 0;
    CHECK_OK(kat_queue_new(TIMES, &queue, &error));
    for (int i = 0; i < TIMES; i++)
        CHECK_STATUS(KAT_STATUS_TRANSPORT, kat_client_session_info(client, text, NULL, &info, &error));
    for (int i = 0; i < TIMES; i++) {
        CHECK_OK(kat_client_session_info_submit(client, text, queue, 0, NULL, &error));
        is_reset_in(queue);
    }
    kat_queue_free(queue);
    free(text);
    kat_client_free(client);
}

/* Of the host's own SIGPIPE nothing is lost: neither one that waits nor one that comes later. */
static void what_was_pending_stays_pending(kat_client *client) {
    sigset_t set = only_sigpipe();
    CHECK(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
    CHECK(raise(SIGPIPE) == 0);
    for (int i = 0; i < TIMES; i++) {
        is_reset(client);
        CHECK(pending() && blocked());
    }
    consume();
    CHECK(!pending());
    /* With nothing pending before, nothing is left behind either. */
    is_reset(client);
    CHECK(!pending() && blocked());
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void a_handler_of_the_hosts_is_for_the_hosts_signals(kat_client *client) {
    struct sigaction action, found;
    memset(&action, 0, sizeof action);
    action.sa_handler = catch;
    CHECK(sigaction(SIGPIPE, &action, NULL) == 0);
    for (int i = 1; i <= TIMES; i++) {
        is_reset(client);
        CHECK(caught == i - 1);
        CHECK(raise(SIGPIPE) == 0 && caught == i);
    }
    CHECK(sigaction(SIGPIPE, NULL, &found) == 0 && found.sa_handler == catch);
    CHECK(signal(SIGPIPE, SIG_DFL) == catch);
}

int main(void) {
    /* Whoever started this program may have had it ignored. */
    CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
    sigset_t set = only_sigpipe();
    CHECK(pthread_sigmask(SIG_UNBLOCK, &set, NULL) == 0);

    through_a_call_and_through_a_queue("KAT_TEST_RESETS_BEFORE_THE_ANSWER");
    through_a_call_and_through_a_queue("KAT_TEST_RESETS_IN_THE_HANDSHAKE");
    in_the_middle_of_a_large_body();
    CHECK(!blocked() && !pending());
    kat_client *client = client_of("KAT_TEST_RESETS_BEFORE_THE_ANSWER");
    what_was_pending_stays_pending(client);
    a_handler_of_the_hosts_is_for_the_hosts_signals(client);
    CHECK(!blocked() && !pending());
    kat_client_free(client);
    return 0;
}
