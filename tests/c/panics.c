/* A panic inside becomes a status, and nothing is lost. Only for the library that is built to panic on demand. */
#include "support.h"

/* Has every call panic at the boundary. */
void kat_inject_panics(bool armed);
/* Has every call to the server panic where it is made. */
void kat_inject_panics_in_operations(bool armed);
/* Has every error of a call to the server panic where it is made. */
void kat_inject_panics_in_errors(bool armed);

#define PANICS(call)                                                                   \
    do {                                                                               \
        CHECK((call) == KAT_STATUS_PANIC);                                             \
        CHECK(kat_error_status(error) == KAT_STATUS_OK);                               \
        kat_inject_panics(false);                                                      \
        CHECK(kat_error_status(error) == KAT_STATUS_PANIC);                            \
        CHECK(strstr(kat_error_message(error), "defect") != NULL);                     \
        CHECK(strstr(kat_error_message(error), "boundary.rs:") != NULL);               \
        kat_error_free(error);                                                         \
        error = NULL;                                                                  \
        kat_inject_panics(true);                                                       \
    } while (0)

int main(void) {
    kat_error *error = NULL;
    kat_token *token = NULL, *untouched = NULL;
    kat_session *session = NULL;
    kat_queue *queue = NULL;
    kat_completion *completion = NULL;
    char hash[KAT_HASH_SIZE];
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    token = test_token(client);
    kat_session_params *params = exchange_of(token);
    kat_token_params *doomed = kat_token_params_new();
    CHECK_OK(kat_queue_new(4, &queue, &error));

    kat_inject_panics(true);
    PANICS(kat_client_start_session(client, params, NULL, &session, &error));
    PANICS(kat_client_get_token(client, "x", NULL, NULL, &untouched, &error));
    PANICS(kat_token_hash("MD5", "k", "t", hash, sizeof hash, NULL, &error));
    PANICS(kat_client_start_session_submit(client, params, queue, 1, NULL, &error));
    PANICS(kat_queue_next(queue, 0, &completion, &error));
    CHECK(session == NULL && untouched == NULL && completion == NULL);
    CHECK(kat_config_new() == NULL && kat_token_id(token) == NULL);
    CHECK(kat_token_params_set_description(doomed, "x") == KAT_STATUS_PANIC);
    kat_token_params_free(doomed);

    /* The same client and queue go on. */
    kat_inject_panics(false);
    CHECK_OK(kat_client_start_session(client, params, NULL, &session, &error));
    kat_session_free(session);
    CHECK_OK(kat_client_start_session_submit(client, params, queue, 7, NULL, &error));
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    CHECK(kat_completion_status(completion) == KAT_STATUS_OK);
    kat_completion_free(completion);

    /* A panic on the queue's own thread completes the call. */
    kat_inject_panics_in_operations(true);
    CHECK_OK(kat_client_get_token_submit(client, kat_token_id(token), NULL, queue, 8, NULL, &error));
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    kat_inject_panics_in_operations(false);
    CHECK(kat_completion_tag(completion) == 8 && kat_completion_status(completion) == KAT_STATUS_PANIC);
    CHECK(kat_completion_take_error(completion, &error) == KAT_STATUS_OK);
    CHECK(kat_error_status(error) == KAT_STATUS_PANIC);
    CHECK(strstr(kat_error_message(error), "boundary.rs:") != NULL);
    kat_error_free(error);
    kat_completion_free(completion);
    CHECK(kat_queue_in_flight(queue) == 0);

    /* So does one where the error of a failed call is made. */
    error = NULL;
    kat_inject_panics_in_errors(true);
    CHECK(kat_client_get_token(client, "0_none", NULL, NULL, &untouched, &error) == KAT_STATUS_PANIC);
    kat_inject_panics_in_errors(false);
    CHECK(untouched == NULL && kat_error_status(error) == KAT_STATUS_PANIC);
    kat_error_free(error);

    kat_queue_free(queue);
    kat_session_params_free(params);
    kat_token_free(token);
    kat_client_free(client);
    return 0;
}
