/* After fork: a client works on both sides, what cannot be shared says so, and freeing it in the child is harmless. */
#include <sys/wait.h>

#include "support.h"

static void exchange(const kat_client *client, const kat_session_params *params) {
    kat_error *error = NULL;
    kat_session *session = NULL;
    CHECK_OK(kat_client_start_session(client, params, NULL, &session, &error));
    kat_session_free(session);
}

static void child(kat_client *client, kat_session_params *params, kat_queue *queue, uint64_t operation,
                  kat_token_iter *walk) {
    kat_error *error = NULL;
    kat_completion *completion = NULL;
    kat_token *token = NULL;
    exchange(client, params);
    CHECK(kat_queue_fd(queue) == -1 && kat_queue_in_flight(queue) == 0);
    CHECK_STATUS(KAT_STATUS_FORKED, kat_queue_next(queue, 0, &completion, &error));
    CHECK_STATUS(KAT_STATUS_FORKED, kat_queue_next(queue, -1, &completion, &error));
    CHECK_STATUS(KAT_STATUS_FORKED, kat_queue_cancel(queue, operation, &error));
    CHECK_STATUS(KAT_STATUS_FORKED, kat_client_start_session_submit(client, params, queue, 1, NULL, &error));
    kat_queue_free(queue);
    CHECK_STATUS(KAT_STATUS_FORKED, kat_token_iter_next(walk, NULL, &token, &error));
    kat_token_iter_free(walk);
    /* A queue of its own, with the inherited client. */
    CHECK_OK(kat_queue_new(4, &queue, &error));
    CHECK_OK(kat_client_start_session_submit(client, params, queue, 1, NULL, &error));
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    CHECK(kat_completion_status(completion) == KAT_STATUS_OK);
    kat_completion_free(completion);
    kat_queue_free(queue);
    exchange(client, params);
    kat_client_free(client);
}

int main(void) {
    kat_error *error = NULL;
    kat_token_iter *walk = NULL;
    kat_queue *queue = NULL;
    kat_token *listed = NULL;
    uint64_t operation = 0;
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    kat_token *token = test_token(client);
    kat_session_params *params = exchange_of(token);
    exchange(client, params);
    CHECK_OK(kat_client_tokens(client, NULL, &walk, &error));
    CHECK_OK(kat_queue_new(100, &queue, &error));
    sandbox_fault("{\"action\":\"appToken.get\",\"fault\":\"latency\",\"ms\":2000}");
    CHECK_OK(kat_client_get_token_submit(client, kat_token_id(token), NULL, queue, 1, &operation, &error));
    /* The sanitizers' allocator, unlike the C library's, does not survive a fork in the midst of another thread's
     * allocation: let the queue's thread come to rest. */
    usleep(300000);
    for (int i = 0; i < 3; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            child(client, params, queue, operation, walk);
            /* What was inherited is left alone on purpose, and is no leak to be reported here. */
            execl("/bin/true", "true", (char *)NULL);
            _Exit(1);
        }
        int status = 0;
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    /* The parent has lost nothing: the call under way, the walk and the client go on. */
    kat_completion *completion = NULL;
    CHECK_OK(kat_queue_next(queue, 20000, &completion, &error));
    CHECK(kat_completion_operation(completion) == operation && kat_completion_status(completion) == KAT_STATUS_OK);
    kat_completion_free(completion);
    CHECK_OK(kat_token_iter_next(walk, NULL, &listed, &error));
    kat_token_free(listed);
    exchange(client, params);
    kat_token_iter_free(walk);
    kat_queue_free(queue);
    kat_session_params_free(params);
    kat_token_free(token);
    kat_client_free(client);
    return 0;
}
