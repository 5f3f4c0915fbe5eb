/* Each kind of failure, over real sockets: its status, what its error says, and that it says no secret. */
#include <pthread.h>

#include "support.h"

static const struct {
    const char *fault;
    kat_status status;
    int http_status;
    bool retryable;
} READS[] = {
    {"{\"action\":\"appToken.get\",\"fault\":\"reset\",\"times\":9}", KAT_STATUS_TRANSPORT, 0, true},
    {"{\"action\":\"appToken.get\",\"fault\":\"truncated\",\"times\":9}", KAT_STATUS_TRANSPORT, 0, true},
    {"{\"action\":\"appToken.get\",\"fault\":\"status\",\"status\":503,\"times\":9}", KAT_STATUS_HTTP, 503, true},
    {"{\"action\":\"appToken.get\",\"fault\":\"status\",\"status\":404,\"times\":9}", KAT_STATUS_HTTP, 404, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"redirect\",\"location\":\"http://x/\"}", KAT_STATUS_HTTP, 302, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"garbage\",\"times\":9}", KAT_STATUS_DECODE, 0, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"html\",\"times\":9}", KAT_STATUS_DECODE, 0, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"huge\",\"bytes\":2000000,\"times\":9}", KAT_STATUS_DECODE, 0, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"ks_echo\",\"times\":9}", KAT_STATUS_API, 0, false},
    {"{\"action\":\"appToken.get\",\"fault\":\"latency\",\"ms\":3000,\"times\":9}", KAT_STATUS_TIMEOUT, 0, true},
};

static void says_no_secret(const kat_error *error) {
    const char *texts[] = {kat_error_message(error), kat_error_hint(error)};
    for (size_t i = 0; i < 2; i++)
        CHECK(texts[i] == NULL || (strstr(texts[i], ADMIN_SECRET) == NULL && strstr(texts[i], "djJ8") == NULL));
}

static kat_client *hasty_client(void) {
    kat_config *config = test_config(ADMIN_SECRET);
    kat_client *client = NULL;
    kat_error *error = NULL;
    kat_config_set_attempt_timeout_ms(config, 300);
    kat_config_set_total_timeout_ms(config, 900);
    kat_config_set_max_response_bytes(config, 1000000);
    CHECK_OK(kat_client_new(config, &client, &error));
    kat_config_free(config);
    return client;
}

static void reads(const kat_client *client, const char *id) {
    for (size_t i = 0; i < sizeof READS / sizeof *READS; i++) {
        kat_error *error = NULL;
        kat_token *token = NULL;
        sandbox_fault(READS[i].fault);
        kat_status status = kat_client_get_token(client, id, NULL, NULL, &token, &error);
        if (status != READS[i].status || kat_error_http_status(error) != READS[i].http_status ||
            kat_error_retryable(error) != READS[i].retryable) {
            fprintf(stderr, "%s: %s %s\n", READS[i].fault, kat_status_name(status), kat_error_message(error));
            _Exit(1);
        }
        CHECK_TEXT("appToken.get", kat_error_request(error));
        CHECK(kat_error_cause(error) == KAT_CONNECT_CAUSE_NONE);
        says_no_secret(error);
        kat_error_free(error);
        sandbox_control("DELETE", "faults", "", NULL, 0);
    }
}

static void a_creation_in_doubt_is_never_repeated(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    char requests[1 << 20];
    kat_token_params *params = kat_token_params_new();
    kat_token_params_set_description(params, "in doubt");
    sandbox_control("DELETE", "requests", "", NULL, 0);
    sandbox_fault("{\"action\":\"appToken.add\",\"fault\":\"reset\",\"after\":true}");
    CHECK(kat_client_add_token(client, params, NULL, &token, &error) == KAT_STATUS_OUTCOME_UNKNOWN);
    CHECK(kat_error_candidate_count(error) == 1);
    CHECK(kat_error_candidate_id(error, 0) != NULL && kat_error_candidate_id(error, 1) == NULL);
    CHECK(!kat_error_retryable(error));
    kat_error *none = NULL;
    CHECK(kat_client_delete_token(client, kat_error_candidate_id(error, 0), NULL, &none) == KAT_STATUS_OK);
    kat_error_free(error);
    sandbox_control("GET", "requests", "", requests, sizeof requests);
    static const char ADD[] = "{\"action\":\"add\",\"masked\"";
    const char *first = strstr(requests, ADD);
    CHECK(first != NULL && strstr(first + 1, ADD) == NULL);
    kat_token_params_free(params);
}

static void nobody_there(void) {
    kat_error *error = NULL;
    kat_client *client = NULL;
    kat_session *session = NULL;
    kat_config *config = test_config(NULL);
    kat_config_set_service_url(config, "http://127.0.0.1:1");
    kat_config_set_max_retries(config, 0);
    CHECK_OK(kat_client_new(config, &client, &error));
    CHECK(kat_client_start_widget_session(client, NULL, &session, &error) == KAT_STATUS_TRANSPORT);
    CHECK(kat_error_retryable(error) && strstr(kat_error_message(error), "127.0.0.1:1") != NULL);
    kat_error_free(error);
    kat_client_free(client);
    kat_config_free(config);
}

static void *trigger_soon(void *cancel) {
    usleep(100000);
    kat_cancel_trigger((const kat_cancel *)cancel);
    return NULL;
}

static void cancelled_while_waiting(const kat_client *client, const char *id) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    pthread_t thread;
    kat_cancel *cancel = kat_cancel_new();
    CHECK(!kat_cancel_is_triggered(cancel));
    sandbox_fault("{\"action\":\"appToken.get\",\"fault\":\"latency\",\"ms\":5000}");
    CHECK(pthread_create(&thread, NULL, trigger_soon, cancel) == 0);
    double start = seconds_now();
    CHECK_STATUS(KAT_STATUS_CANCELLED, kat_client_get_token(client, id, NULL, cancel, &token, &error));
    CHECK(seconds_now() - start < 4);
    pthread_join(thread, NULL);
    CHECK(kat_cancel_is_triggered(cancel));
    CHECK_STATUS(KAT_STATUS_CANCELLED, kat_client_get_token(client, id, NULL, cancel, &token, &error));
    kat_token_iter *walk = NULL;
    CHECK_OK(kat_client_tokens(client, NULL, &walk, &error));
    sandbox_fault("{\"action\":\"appToken.list\",\"fault\":\"latency\",\"ms\":5000}");
    CHECK_STATUS(KAT_STATUS_CANCELLED, kat_token_iter_next(walk, cancel, &token, &error));
    kat_token_iter_free(walk);
    kat_cancel_free(cancel);
}

/* A creation that was sent and then cancelled is in doubt, not cancelled. */
static void cancelled_creation(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    pthread_t thread;
    kat_cancel *cancel = kat_cancel_new();
    kat_token_params *params = kat_token_params_new();
    sandbox_fault("{\"action\":\"appToken.add\",\"fault\":\"latency\",\"ms\":5000}");
    CHECK(pthread_create(&thread, NULL, trigger_soon, cancel) == 0);
    CHECK_STATUS(KAT_STATUS_OUTCOME_UNKNOWN, kat_client_add_token(client, params, cancel, &token, &error));
    pthread_join(thread, NULL);
    kat_token_params_free(params);
    kat_cancel_free(cancel);
}

int main(void) {
    sandbox_reset();
    kat_client *client = hasty_client();
    kat_token *token = test_token(client);
    reads(client, kat_token_id(token));
    a_creation_in_doubt_is_never_repeated(client);
    kat_client_free(client);
    nobody_there();
    client = test_client(ADMIN_SECRET);
    cancelled_while_waiting(client, kat_token_id(token));
    cancelled_creation(client);
    kat_client_free(client);
    kat_token_free(token);
    return 0;
}
