/* Exchanges per second, and what a client holds in memory. Usage: bench blocking|threads|queue|idle COUNT
 *
 * tests/rust/examples/exchanges.rs does what `blocking` does, without C in between. */
#include <poll.h>
#include <pthread.h>

#include "support.h"

enum { THREADS = 8, AT_A_TIME = 64 };

static kat_client *client;
static kat_session_params *params;
static size_t count;

static void exchange(size_t times) {
    for (size_t i = 0; i < times; i++) {
        kat_session *session = NULL;
        kat_error *error = NULL;
        CHECK_OK(kat_client_start_session(client, params, NULL, &session, &error));
        CHECK(kat_session_ks(session)[0] != 0);
        kat_session_free(session);
    }
}

static void *worker(void *unused) {
    exchange(count / THREADS);
    return unused;
}

static void threads(void) {
    pthread_t handles[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&handles[i], NULL, worker, NULL) == 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(handles[i], NULL);
}

static void queue(void) {
    kat_error *error = NULL;
    kat_queue *queue = NULL;
    size_t submitted = 0, completed = 0;
    CHECK_OK(kat_queue_new(AT_A_TIME, &queue, &error));
    while (completed < count) {
        kat_status status = KAT_STATUS_OK;
        while (submitted < count && status == KAT_STATUS_OK) {
            status = kat_client_start_session_submit(client, params, queue, submitted, NULL, &error);
            submitted += status == KAT_STATUS_OK;
        }
        struct pollfd ready = {kat_queue_fd(queue), POLLIN, 0};
        CHECK(poll(&ready, 1, -1) == 1);
        kat_completion *done = NULL;
        while (kat_queue_next(queue, 0, &done, NULL) == KAT_STATUS_OK) {
            kat_session *session = NULL;
            CHECK_OK(kat_completion_take_session(done, &session, &error));
            kat_session_free(session);
            kat_completion_free(done);
            completed++;
        }
    }
    kat_queue_free(queue);
}

static void print_memory(const char *when) {
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");
    CHECK(status != NULL);
    while (fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "VmRSS", 5) == 0 || strncmp(line, "RssAnon", 7) == 0)
            printf("%s: %s", when, line);
    fclose(status);
}

int main(int argc, char **argv) {
    CHECK(argc == 3);
    const char *mode = argv[1];
    count = (size_t)atol(argv[2]);
    print_memory("before the client");
    client = test_client(ADMIN_SECRET);
    print_memory("with a client");
    kat_token *token = test_token(client);
    params = exchange_of(token);
    exchange(1);
    double start = seconds_now();
    if (strcmp(mode, "blocking") == 0)
        exchange(count);
    else if (strcmp(mode, "threads") == 0)
        threads();
    else if (strcmp(mode, "queue") == 0)
        queue();
    print_memory("after the exchanges");
    printf("%s: %.0f exchanges/s\n", mode, (double)count / (seconds_now() - start));
    kat_session_params_free(params);
    kat_token_free(token);
    kat_client_free(client);
    return 0;
}
