/* What the test programs share: checks, the sandbox's account, and its control interface.
 *
 * Knows the library only as any other program does. The sandbox is named by KAT_TEST_URL. */
#ifndef KAT_TEST_SUPPORT_H
#define KAT_TEST_SUPPORT_H

#include <arpa/inet.h>
#include <inttypes.h>
#include <kaltura_app_token.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PARTNER_ID 102
#define ADMIN_SECRET "0123456789abcdef0123456789abcdef"

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);   \
            _Exit(1);                                                                 \
        }                                                                             \
    } while (0)

/* The call must return this status, and an error object must say so if there is one. */
#define CHECK_STATUS(expected, call) check_status(__FILE__, __LINE__, #call, (expected), (call), &error)
#define CHECK_OK(call) CHECK_STATUS(KAT_STATUS_OK, call)
#define CHECK_TEXT(expected, text) check_text(__FILE__, __LINE__, #text, (expected), (text))

static inline void check_status(const char *file, int line, const char *what, kat_status expected,
                                kat_status status, kat_error **error) {
    if (status != expected) {
        fprintf(stderr, "%s:%d: %s: %s instead of %s (%s)\n", file, line, what, kat_status_name(status),
                kat_status_name(expected), *error ? kat_error_message(*error) : "no error object");
        _Exit(1);
    }
    if (*error != NULL) {
        CHECK(kat_error_status(*error) == expected);
        kat_error_free(*error);
        *error = NULL;
    }
}

static inline void check_text(const char *file, int line, const char *what, const char *expected,
                              const char *text) {
    if (text == NULL ? expected != NULL : expected == NULL || strcmp(expected, text) != 0) {
        fprintf(stderr, "%s:%d: %s: \"%s\" instead of \"%s\"\n", file, line, what, text ? text : "(NULL)",
                expected ? expected : "(NULL)");
        _Exit(1);
    }
}

static inline const char *sandbox_url(void) {
    const char *url = getenv("KAT_TEST_URL");
    CHECK(url != NULL);
    return url;
}

static inline double seconds_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* A call of the sandbox's control interface; the answer's body goes into `answer`, which may be NULL. */
static inline void sandbox_control(const char *method, const char *path, const char *body, char *answer,
                                   size_t size) {
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)atoi(strrchr(sandbox_url(), ':') + 1));
    int peer = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(peer >= 0 && connect(peer, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(dprintf(peer,
                  "%s /_sandbox/%s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                  "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                  method, path, strlen(body), body) > 0);
    size_t room = answer ? size : 4096, used = 0;
    char *reply = (char *)malloc(room);
    CHECK(reply != NULL);
    for (ssize_t length; used + 1 < room && (length = read(peer, reply + used, room - used - 1)) > 0;)
        used += (size_t)length;
    reply[used] = 0;
    close(peer);
    CHECK(strncmp(reply, "HTTP/1.1 200", 12) == 0);
    if (answer != NULL)
        strcpy(answer, strstr(reply, "\r\n\r\n") + 4);
    free(reply);
}

static inline void sandbox_reset(void) { sandbox_control("POST", "reset", "{}", NULL, 0); }
static inline void sandbox_fault(const char *fault) { sandbox_control("POST", "faults", fault, NULL, 0); }

/* A config for the sandbox's account, quick to give up. `secret` may be NULL. */
static inline kat_config *test_config(const char *secret) {
    kat_config *config = kat_config_new();
    CHECK(config != NULL);
    kat_config_set_partner_id(config, PARTNER_ID);
    kat_config_set_service_url(config, sandbox_url());
    kat_config_set_admin_secret(config, secret);
    kat_config_set_retry_backoff_ms(config, 1);
    return config;
}

static inline kat_client *test_client(const char *secret) {
    kat_config *config = test_config(secret);
    kat_client *client = NULL;
    kat_error *error = NULL;
    CHECK_OK(kat_client_new(config, &client, &error));
    kat_config_free(config);
    return client;
}

/* A token for alice with sview and list, and the parameters that exchange it. */
static inline kat_token *test_token(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    kat_token_params *params = kat_token_params_new();
    kat_token_params_set_session_user_id(params, "alice");
    kat_token_params_set_session_privileges(params, "sview:*,list:*");
    kat_token_params_set_session_duration(params, 3600);
    CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
    kat_token_params_free(params);
    return token;
}

static inline kat_session_params *exchange_of(const kat_token *token) {
    kat_session_params *params = kat_session_params_new();
    kat_session_params_set_token(params, kat_token_id(token), kat_token_value(token));
    return params;
}

#endif
