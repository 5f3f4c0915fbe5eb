/* Eight threads, one client, mixed operations for KAT_TEST_SECONDS; every answer is held against what was asked. */
#include <pthread.h>

#include "support.h"

enum { THREADS = 8 };

static kat_client *client;
static kat_queue *queue;
static double until;
static size_t done[THREADS];

static void exchange(const kat_token *token, const char *user) {
    kat_error *error = NULL;
    kat_session *session = NULL;
    kat_session_info *info = NULL;
    kat_session_params *params = exchange_of(token);
    CHECK_OK(kat_client_start_session(client, params, NULL, &session, &error));
    CHECK_TEXT(user, kat_session_user_id(session));
    CHECK_OK(kat_client_session_info(client, kat_session_ks(session), NULL, &info, &error));
    CHECK_TEXT(user, kat_session_info_user_id(info));
    kat_session_info_free(info);
    kat_session_free(session);
    kat_session_params_free(params);
}

/* Whose completion is collected here does not matter: each one must be of a call that succeeded. */
static void queued(const kat_token *token) {
    kat_error *error = NULL;
    kat_completion *completion = NULL;
    kat_session_params *params = exchange_of(token);
    CHECK_OK(kat_client_start_session_submit(client, params, queue, 1, NULL, &error));
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    CHECK(kat_completion_status(completion) == KAT_STATUS_OK);
    kat_completion_free(completion);
    kat_session_params_free(params);
}

static void *worker(void *argument) {
    size_t me = (size_t)(uintptr_t)argument;
    kat_error *error = NULL;
    kat_token *token = NULL, *again = NULL;
    kat_token_list *list = NULL;
    char user[32], text[64];
    snprintf(user, sizeof user, "user-%zu", me);
    for (size_t round = 0; seconds_now() < until; round++) {
        kat_token_params *params = kat_token_params_new();
        kat_token_params_set_session_user_id(params, user);
        snprintf(text, sizeof text, "%zu/%zu", me, round);
        kat_token_params_set_description(params, text);
        CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
        CHECK_TEXT(text, kat_token_description(token));
        exchange(token, user);
        queued(token);
        kat_token_params_set_description(params, "changed");
        CHECK_OK(kat_client_update_token(client, kat_token_id(token), params, NULL, &again, &error));
        CHECK_TEXT("changed", kat_token_description(again));
        CHECK_TEXT(kat_token_id(token), kat_token_id(again));
        kat_token_free(again);
        kat_token_params_free(params);
        kat_list_params *filter = kat_list_params_new();
        kat_list_params_set_session_user_id_equal(filter, user);
        CHECK_OK(kat_client_list_tokens(client, filter, NULL, &list, &error));
        CHECK(kat_token_list_len(list) == 1);
        CHECK_TEXT(kat_token_id(token), kat_token_id(kat_token_list_get(list, 0)));
        kat_token_list_free(list);
        kat_list_params_free(filter);
        CHECK_OK(kat_client_delete_token(client, kat_token_id(token), NULL, &error));
        CHECK_STATUS(KAT_STATUS_API, kat_client_get_token(client, kat_token_id(token), NULL, NULL, &again, &error));
        kat_token_free(token);
        done[me]++;
    }
    return NULL;
}

int main(void) {
    const char *seconds = getenv("KAT_TEST_SECONDS");
    kat_error *error = NULL;
    pthread_t threads[THREADS];
    size_t rounds = 0;
    sandbox_reset();
    client = test_client(ADMIN_SECRET);
    CHECK_OK(kat_queue_new(THREADS, &queue, &error));
    until = seconds_now() + (seconds ? atof(seconds) : 2);
    for (size_t i = 0; i < THREADS; i++)
        CHECK(pthread_create(&threads[i], NULL, worker, (void *)(uintptr_t)i) == 0);
    for (size_t i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        rounds += done[i];
    }
    CHECK(rounds >= THREADS && kat_queue_in_flight(queue) == 0);
    printf("%zu rounds of 8 operations\n", rounds);
    kat_queue_free(queue);
    kat_client_free(client);
    return 0;
}
