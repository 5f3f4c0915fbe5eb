/* The session provider: one exchange however many ask, who waits for whom, refused sessions, token sources, fork. */
#include <poll.h>
#include <pthread.h>
#include <sys/wait.h>

#include "support.h"

static kat_token_source *value_of(const kat_token *token) {
    kat_error *error = NULL;
    kat_token_source *source = NULL;
    CHECK_OK(kat_token_source_value(kat_token_id(token), kat_token_value(token), &source, &error));
    return source;
}

/* A provider for a new token. `params` may be NULL. */
static kat_provider *new_provider(const kat_client *client, const kat_provider_params *params) {
    kat_error *error = NULL;
    kat_provider *provider = NULL;
    kat_token *token = test_token(client);
    kat_token_source *source = value_of(token);
    kat_token_free(token);
    CHECK_OK(kat_provider_new(client, source, params, &provider, &error));
    kat_token_source_free(source);
    return provider;
}

static kat_session *get(const kat_provider *provider, const kat_session_key *key) {
    kat_error *error = NULL;
    kat_session *session = NULL;
    CHECK_OK(kat_provider_get(provider, key, NULL, &session, &error));
    return session;
}

static bool same(const kat_session *a, const kat_session *b) {
    return strcmp(kat_session_ks(a), kat_session_ks(b)) == 0;
}

static void forget_requests(void) { sandbox_control("DELETE", "requests", "", NULL, 0); }

/* How many exchanges the sandbox has seen since forget_requests. */
static int exchanges(void) {
    static char requests[1 << 20];
    static const char EXCHANGE[] = "{\"action\":\"startSession\",\"masked\"";
    int count = 0;
    sandbox_control("GET", "requests", "", requests, sizeof requests);
    for (const char *at = requests; (at = strstr(at, EXCHANGE)) != NULL; at++)
        count++;
    return count;
}

static void slow_exchange(int ms) {
    char fault[100];
    snprintf(fault, sizeof fault, "{\"action\":\"appToken.startSession\",\"fault\":\"latency\",\"ms\":%d}", ms);
    sandbox_fault(fault);
}

static kat_queue *new_queue(size_t limit) {
    kat_queue *queue = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_queue_new(limit, &queue, &error));
    return queue;
}

static kat_completion *next(const kat_queue *queue) {
    kat_completion *completion = NULL;
    kat_error *error = NULL;
    struct pollfd polled = {kat_queue_fd(queue), POLLIN, 0};
    CHECK(poll(&polled, 1, 20000) == 1);
    CHECK_OK(kat_queue_next(queue, 0, &completion, &error));
    return completion;
}

static kat_session *next_session(const kat_queue *queue) {
    kat_session *session = NULL;
    kat_error *error = NULL;
    kat_completion *completion = next(queue);
    CHECK(kat_completion_status(completion) == KAT_STATUS_OK);
    CHECK_OK(kat_completion_take_session(completion, &session, &error));
    kat_completion_free(completion);
    return session;
}

static void a_session_is_kept_for_its_key(const kat_client *client) {
    kat_error *error = NULL;
    kat_session *none = NULL;
    kat_provider *provider = new_provider(client, NULL);
    kat_session_key *key = kat_session_key_new();
    forget_requests();
    kat_session *first = get(provider, NULL), *again = get(provider, key);
    CHECK(same(first, again) && exchanges() == 1);
    CHECK_TEXT("alice", kat_session_user_id(first));
    CHECK(strstr(kat_session_privileges(first), "sview:*,list:*") != NULL);
    kat_session_key_set_privileges(key, "edit:1_a");
    kat_session_key_set_session_type(key, KAT_SESSION_TYPE_USER);
    kat_session_key_set_duration(key, 60);
    kat_session *other = get(provider, key);
    CHECK(!same(first, other) && exchanges() == 2);
    CHECK(kat_session_expiry_unix(other) < kat_session_expiry_unix(first) - 3000);
    CHECK(kat_session_dropped_privilege_count(other) == 1);
    /* How long it must be good for is no part of the key. */
    kat_session_key_set_min_remaining(key, 30);
    kat_session *good = get(provider, key);
    CHECK(same(good, other) && exchanges() == 2);
    kat_session_key_set_min_remaining(key, 61);
    /* More than a session's life: a fresh one, once. */
    kat_session *fresh = get(provider, key), *kept = get(provider, key);
    CHECK(!same(fresh, other) && same(kept, fresh) && exchanges() == 3);
    kat_session_key_set_min_remaining(key, KAT_ABSENT);
    kat_session_free(good);
    good = get(provider, key);
    CHECK(same(good, fresh) && exchanges() == 3);
    /* What a setter refused fails the call. */
    CHECK(kat_session_key_set_duration(key, -1) == KAT_STATUS_INVALID_ARG);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_provider_get(provider, key, NULL, &none, &error));
    CHECK(none == NULL);
    /* A session outlives its provider. */
    kat_provider_free(provider);
    CHECK(strlen(kat_session_ks(first)) > 20);
    kat_session_free(first);
    kat_session_free(again);
    kat_session_free(other);
    kat_session_free(good);
    kat_session_free(fresh);
    kat_session_free(kept);
    kat_session_key_free(key);
}

static void settings(const kat_client *client) {
    kat_error *error = NULL;
    kat_provider *provider = NULL;
    kat_token *token = NULL;
    kat_session *session = NULL;
    kat_provider_params *params = kat_provider_params_new();
    kat_session_key *key = kat_session_key_new();
    kat_session_key_set_duration(key, 60);
    /* Room for one session only. */
    kat_provider_params_set_capacity(params, 1);
    provider = new_provider(client, params);
    forget_requests();
    for (int i = 0; i < 4; i++)
        kat_session_free(get(provider, i % 2 ? key : NULL));
    CHECK(exchanges() == 4);
    kat_provider_free(provider);
    /* A hash type that is not the token's, and finding it out. */
    kat_token_params *md5 = kat_token_params_new();
    kat_token_params_set_hash_type(md5, KAT_HASH_MD5);
    kat_token_params_set_session_user_id(md5, "alice");
    CHECK_OK(kat_client_add_token(client, md5, NULL, &token, &error));
    kat_token_source *source = value_of(token);
    CHECK_OK(kat_provider_new(client, source, NULL, &provider, &error));
    CHECK(kat_provider_get(provider, NULL, NULL, &session, &error) == KAT_STATUS_API);
    CHECK_TEXT("INVALID_APP_TOKEN_HASH", kat_error_api_code(error));
    kat_error_free(error);
    error = NULL;
    kat_provider_free(provider);
    static const char *const HASH_TYPES[] = {"auto", KAT_HASH_MD5};
    for (int i = 0; i < 2; i++) {
        kat_provider_params_set_hash_type(params, HASH_TYPES[i]);
        CHECK_OK(kat_provider_new(client, source, params, &provider, &error));
        kat_session_free(get(provider, NULL));
        kat_provider_free(provider);
    }
    CHECK(kat_provider_params_set_hash_type(params, "\xff") == KAT_STATUS_INVALID_ARG);
    provider = NULL;
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_provider_new(client, source, params, &provider, &error));
    CHECK(provider == NULL);
    kat_token_source_free(source);
    kat_token_params_free(md5);
    kat_provider_params_free(params);
    kat_session_key_free(key);
    kat_token_free(token);
}

static void a_thousand_gets_make_one_exchange(const kat_client *client) {
    enum { GETS = 1000 };
    kat_error *error = NULL;
    kat_provider *provider = new_provider(client, NULL);
    kat_queue *queue = new_queue(GETS);
    kat_session_key *key = kat_session_key_new();
    bool seen[GETS] = {false};
    kat_session *first = NULL, *kept = NULL;
    kat_session_key_set_privileges(key, "list:*");
    forget_requests();
    slow_exchange(300);
    for (uint64_t i = 0; i < GETS; i++)
        CHECK_OK(kat_provider_get_submit(provider, key, queue, i, NULL, &error));
    kat_session_key_free(key);
    for (int i = 0; i < GETS; i++) {
        kat_completion *done = next(queue);
        uint64_t tag = kat_completion_tag(done);
        kat_session *session = NULL;
        CHECK(tag < GETS && !seen[tag]);
        seen[tag] = true;
        CHECK(kat_completion_kind(done) == KAT_OPERATION_PROVIDER_GET);
        CHECK_OK(kat_completion_take_session(done, &session, &error));
        kat_completion_free(done);
        CHECK(first == NULL || same(first, session));
        kat_session_free(first);
        first = session;
    }
    CHECK(exchanges() == 1 && kat_queue_in_flight(queue) == 0);
    /* A submitted call needs neither the provider nor the client any more. */
    kat_client *another = test_client(NULL);
    kat_token *token = test_token(client);
    kat_token_source *source = value_of(token);
    kat_provider *short_lived = NULL;
    CHECK_OK(kat_provider_new(another, source, NULL, &short_lived, &error));
    kat_client_free(another);
    kat_token_source_free(source);
    slow_exchange(100);
    CHECK_OK(kat_provider_get_submit(short_lived, NULL, queue, 1, NULL, &error));
    kat_provider_free(short_lived);
    kept = next_session(queue);
    CHECK(strlen(kat_session_ks(kept)) > 20);
    kat_session_free(kept);
    kat_session_free(first);
    kat_token_free(token);
    kat_queue_free(queue);
    kat_provider_free(provider);
}

struct asking {
    const kat_provider *provider;
    const kat_cancel *cancel;
    kat_status status;
    kat_session *session;
};

static void *ask(void *argument) {
    struct asking *asking = (struct asking *)argument;
    asking->status = kat_provider_get(asking->provider, NULL, asking->cancel, &asking->session, NULL);
    for (int i = 0; i < 50 && asking->status == KAT_STATUS_OK; i++) {
        kat_session *again = get(asking->provider, NULL);
        CHECK(same(again, asking->session));
        kat_session_free(again);
    }
    return NULL;
}

static void threads_share_one_exchange(const kat_client *client) {
    enum { THREADS = 8 };
    kat_error *error = NULL;
    pthread_t threads[THREADS];
    struct asking asking[THREADS];
    kat_provider *provider = new_provider(client, NULL);
    kat_queue *queue = new_queue(1);
    forget_requests();
    slow_exchange(300);
    for (int i = 0; i < THREADS; i++) {
        asking[i] = (struct asking){provider, NULL, KAT_STATUS_OK, NULL};
        CHECK(pthread_create(&threads[i], NULL, ask, &asking[i]) == 0);
    }
    CHECK_OK(kat_provider_get_submit(provider, NULL, queue, 1, NULL, &error));
    kat_session *queued = next_session(queue);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(asking[i].status == KAT_STATUS_OK && same(asking[i].session, queued));
        kat_session_free(asking[i].session);
    }
    CHECK(exchanges() == 1);
    kat_session_free(queued);
    kat_queue_free(queue);
    kat_provider_free(provider);
}

/* The one who gives up is the one who began the exchange. */
static void a_cancelled_waiter_leaves_the_others(const kat_client *client) {
    kat_error *error = NULL;
    pthread_t threads[2];
    kat_cancel *cancel = kat_cancel_new();
    kat_provider *provider = new_provider(client, NULL);
    struct asking asking[2] = {{provider, cancel, KAT_STATUS_OK, NULL}, {provider, NULL, KAT_STATUS_OK, NULL}};
    forget_requests();
    slow_exchange(1500);
    for (int i = 0; i < 2; i++) {
        CHECK(pthread_create(&threads[i], NULL, ask, &asking[i]) == 0);
        usleep(300000);
    }
    double start = seconds_now();
    kat_cancel_trigger(cancel);
    pthread_join(threads[0], NULL);
    CHECK(asking[0].status == KAT_STATUS_CANCELLED && asking[0].session == NULL && seconds_now() - start < 0.8);
    pthread_join(threads[1], NULL);
    CHECK(asking[1].status == KAT_STATUS_OK && exchanges() == 1);
    kat_session_free(asking[1].session);
    kat_provider_free(provider);

    provider = new_provider(client, NULL);
    kat_queue *queue = new_queue(4);
    uint64_t operations[4];
    forget_requests();
    slow_exchange(1000);
    for (int i = 0; i < 4; i++)
        CHECK_OK(kat_provider_get_submit(provider, NULL, queue, (uint64_t)i, &operations[i], &error));
    usleep(200000);
    CHECK_OK(kat_queue_cancel(queue, operations[0], &error));
    for (int i = 0; i < 4; i++) {
        kat_completion *done = next(queue);
        bool given_up = kat_completion_tag(done) == 0;
        CHECK(given_up == (i == 0));
        CHECK(kat_completion_status(done) == (given_up ? KAT_STATUS_CANCELLED : KAT_STATUS_OK));
        kat_completion_free(done);
    }
    CHECK(exchanges() == 1);
    kat_queue_free(queue);
    kat_provider_free(provider);
    kat_cancel_free(cancel);
}

static void refused(const kat_provider *provider, const kat_session *session, kat_ks_failure reason) {
    kat_error *error = NULL;
    kat_session *none = NULL;
    CHECK(kat_provider_reject(provider, session, reason, NULL, &none, &error) == KAT_STATUS_API);
    CHECK_TEXT("INVALID_KS", kat_error_api_code(error));
    CHECK(none == NULL && strstr(kat_error_message(error), kat_session_ks(session)) == NULL);
    kat_error_free(error);
}

static void refused_sessions(const kat_client *client) {
    kat_error *error = NULL;
    kat_session *replacement = NULL, *current = NULL, *none = NULL;
    kat_provider *provider = new_provider(client, NULL);
    kat_queue *queue = new_queue(1);
    kat_session *first = get(provider, NULL);
    forget_requests();
    /* Another session would not help, and the one there is stays. */
    refused(provider, first, KAT_KS_FAILURE_RESTRICTED_IP);
    refused(provider, first, KAT_KS_FAILURE_RESTRICTED_URI);
    refused(provider, first, KAT_KS_FAILURE_NOT_ACCEPTED);
    CHECK(exchanges() == 0);
    CHECK_OK(kat_provider_reject(provider, first, KAT_KS_FAILURE_EXPIRED, NULL, &replacement, &error));
    CHECK(!same(first, replacement) && exchanges() == 1);
    /* Others who held the first get the same replacement. */
    CHECK_OK(kat_provider_reject_submit(provider, first, KAT_KS_FAILURE_EXPIRED, queue, 1, NULL, &error));
    current = next_session(queue);
    CHECK(same(current, replacement) && exchanges() == 1);
    refused(provider, current, KAT_KS_FAILURE_EXPIRED);
    kat_session_free(current);
    kat_session_free(first);
    kat_session_free(replacement);
    kat_provider_free(provider);

    provider = new_provider(client, NULL);
    first = get(provider, NULL);
    CHECK_OK(kat_client_end_session(client, kat_session_ks(first), NULL, &error));
    forget_requests();
    refused(provider, first, KAT_KS_FAILURE_LOGGED_OUT);
    CHECK(exchanges() == 0);
    CHECK_OK(kat_provider_reject_submit(provider, first, KAT_KS_FAILURE_LOGGED_OUT, queue, 1, NULL, &error));
    kat_completion *done = next(queue);
    CHECK(kat_completion_kind(done) == KAT_OPERATION_PROVIDER_REJECT);
    CHECK(kat_completion_status(done) == KAT_STATUS_API);
    kat_completion_free(done);

    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_provider_reject(provider, first, 0, NULL, &none, &error));
    kat_session *foreign = NULL;
    CHECK_OK(kat_client_start_widget_session(client, NULL, &foreign, &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG,
                 kat_provider_reject(provider, foreign, KAT_KS_FAILURE_EXPIRED, NULL, &none, &error));
    CHECK(none == NULL);
    kat_session_free(foreign);
    kat_session_free(first);
    kat_queue_free(queue);
    kat_provider_free(provider);
}

static void write_file(const char *path, const char *format, const char *first, const char *second) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fprintf(file, format, first, second) > 0 && fclose(file) == 0);
}

static kat_token *token_of(const kat_client *client, const char *user) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    kat_token_params *params = kat_token_params_new();
    kat_token_params_set_session_user_id(params, user);
    CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
    kat_token_params_free(params);
    return token;
}

/* Asks a new provider over the source, which it frees, and wants a session of alice. */
static void gives_alice(const kat_client *client, kat_token_source *source) {
    kat_error *error = NULL;
    kat_provider *provider = NULL;
    CHECK_OK(kat_provider_new(client, source, NULL, &provider, &error));
    kat_token_source_free(source);
    kat_session *session = get(provider, NULL);
    CHECK_TEXT("alice", kat_session_user_id(session));
    kat_session_free(session);
    kat_provider_free(provider);
}

static void token_sources(const kat_client *client) {
    static const char JSON[] = "{\"id\":\"%s\",\"token\":\"%s\"}";
    kat_error *error = NULL;
    kat_token_source *source = NULL;
    kat_provider *provider = NULL;
    kat_session *session = NULL, *replacement = NULL;
    char path[] = "/tmp/kat-provider-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0 && close(file) == 0 && unlink(path) == 0);
    kat_token *alice = token_of(client, "alice"), *bob = token_of(client, "bob");

    /* A file that is not there yet, then is, and then has another token. */
    CHECK_OK(kat_token_source_file(path, &source, &error));
    CHECK_OK(kat_provider_new(client, source, NULL, &provider, &error));
    kat_token_source_free(source);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_provider_get(provider, NULL, NULL, &session, &error));
    write_file(path, JSON, kat_token_id(alice), kat_token_value(alice));
    session = get(provider, NULL);
    CHECK_TEXT("alice", kat_session_user_id(session));
    write_file(path, JSON, kat_token_id(bob), kat_token_value(bob));
    kat_session *kept = get(provider, NULL);
    CHECK(same(kept, session));
    CHECK_OK(kat_client_delete_token(client, kat_token_id(alice), NULL, &error));
    CHECK_OK(kat_provider_reject(provider, session, KAT_KS_FAILURE_LOGGED_OUT, NULL, &replacement, &error));
    CHECK_TEXT("bob", kat_session_user_id(replacement));
    kat_session_free(kept);
    kat_session_free(session);
    kat_session_free(replacement);
    kat_provider_free(provider);
    kat_token_free(alice);
    alice = token_of(client, "alice");

    write_file(path, "%s\n%s", kat_token_value(alice), "");
    CHECK_OK(kat_token_source_value_file(kat_token_id(alice), path, &source, &error));
    gives_alice(client, source);
    CHECK(unlink(path) == 0);

    CHECK(setenv("KAT_TEST_TOKEN", kat_token_value(alice), 1) == 0);
    CHECK_OK(kat_token_source_variable(kat_token_id(alice), "KAT_TEST_TOKEN", &source, &error));
    gives_alice(client, source);
    CHECK(setenv("KALTURA_APP_TOKEN_ID", kat_token_id(alice), 1) == 0);
    CHECK(setenv("KALTURA_APP_TOKEN", kat_token_value(alice), 1) == 0);
    CHECK_OK(kat_token_source_environment(&source, &error));
    gives_alice(client, source);
    CHECK(unsetenv("KALTURA_APP_TOKEN") == 0 && unsetenv("KALTURA_APP_TOKEN_ID") == 0);
    kat_token_free(alice);
    kat_token_free(bob);
}

static void child(kat_client *client, kat_provider *provider, kat_queue *queue, const kat_session *inherited) {
    kat_error *error = NULL;
    kat_session *replacement = NULL;
    CHECK_STATUS(KAT_STATUS_FORKED, kat_provider_get_submit(provider, NULL, queue, 1, NULL, &error));
    kat_queue_free(queue);
    /* Nothing is under way here: this does not wait for the parent's exchange. */
    double start = seconds_now();
    kat_session *session = get(provider, NULL), *again = get(provider, NULL);
    CHECK(!same(session, inherited) && same(session, again) && seconds_now() - start < 2);
    CHECK_OK(kat_provider_reject(provider, inherited, KAT_KS_FAILURE_EXPIRED, NULL, &replacement, &error));
    CHECK(same(session, replacement));
    /* A queue of its own, with the inherited provider. */
    queue = new_queue(1);
    CHECK_OK(kat_provider_get_submit(provider, NULL, queue, 1, NULL, &error));
    kat_session *queued = next_session(queue);
    CHECK(same(session, queued));
    kat_session_free(queued);
    kat_session_free(replacement);
    kat_session_free(again);
    kat_session_free(session);
    kat_queue_free(queue);
    kat_provider_free(provider);
    kat_client_free(client);
}

static void both_sides_of_a_fork(void) {
    kat_error *error = NULL;
    kat_client *client = test_client(ADMIN_SECRET);
    kat_provider *provider = new_provider(client, NULL);
    kat_queue *queue = new_queue(1);
    kat_session_key *key = kat_session_key_new();
    kat_session_key_set_duration(key, 600);
    kat_session *session = get(provider, NULL);
    forget_requests();
    slow_exchange(3000);
    CHECK_OK(kat_provider_get_submit(provider, key, queue, 1, NULL, &error));
    /* The sanitizers' allocator does not survive a fork in the midst of another thread's allocation. */
    usleep(500000);
    pid_t pid = fork();
    if (pid == 0) {
        child(client, provider, queue, session);
        /* What was inherited is left alone on purpose, and is no leak to be reported here. */
        execl("/bin/true", "true", (char *)NULL);
        _Exit(1);
    }
    int status = 0;
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    /* The parent has lost nothing: the exchange under way goes on, and its session is still there. */
    kat_session *queued = next_session(queue), *kept = get(provider, NULL);
    CHECK(same(kept, session) && !same(kept, queued) && exchanges() == 2);
    kat_session_free(queued);
    kat_session_free(kept);
    kat_session_free(session);
    kat_session_key_free(key);
    kat_queue_free(queue);
    kat_provider_free(provider);
    kat_client_free(client);
}

int main(void) {
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    a_session_is_kept_for_its_key(client);
    settings(client);
    a_thousand_gets_make_one_exchange(client);
    threads_share_one_exchange(client);
    a_cancelled_waiter_leaves_the_others(client);
    refused_sessions(client);
    token_sources(client);
    kat_client_free(client);
    both_sides_of_a_fork();
    return 0;
}
