// Kaltura application tokens: create, list, update and delete them, and exchange them for sessions.
//
// A complete program, which prints a session:
//
//     #include <kaltura_app_token.h>
//     #include <stdio.h>
//
//     int main(void) {
//         kat_config *config = NULL;
//         kat_client *client = NULL;
//         kat_session *session = NULL;
//         kat_error *error = NULL;
//
//         /* KALTURA_PARTNER_ID, KALTURA_SERVICE_URL, KALTURA_APP_TOKEN_ID, KALTURA_APP_TOKEN */
//         kat_status status = kat_config_from_env(&config, &error);
//         if (status == KAT_STATUS_OK)
//             status = kat_client_new(config, &client, &error);
//         if (status == KAT_STATUS_OK) {
//             kat_session_params *params = kat_session_params_new();
//             kat_session_params_set_token(params, kat_config_token_id(config), kat_config_token_value(config));
//             status = kat_client_start_session(client, params, NULL, &session, &error);
//             kat_session_params_free(params);
//         }
//         if (status == KAT_STATUS_OK)
//             puts(kat_session_ks(session));
//         else
//             fprintf(stderr, "%s: %s\n", kat_status_name(status), kat_error_message(error));
//         kat_session_free(session);
//         kat_client_free(client);
//         kat_config_free(config);
//         kat_error_free(error);
//         return status == KAT_STATUS_OK ? 0 : 1;
//     }
//
//     cc program.c $(pkg-config --cflags --libs kaltura-app-token)
//
// CONVENTIONS
//
// Handles. Every type but the enumerations is opaque. What a function returns through an out-parameter, and
// what a function called ..._new returns, is the caller's, who frees it once with the ..._free of its
// type. ..._free takes NULL and does nothing then. What a function returns as a pointer to const
// (strings, the tokens of a list) is borrowed: it is valid until the handle that it was asked of is
// freed or changed, and is never freed by itself.
//
// NULL. A pointer must not be NULL unless its function says so. NULL where it must not be gives
// KAT_STATUS_NULL_ARG, or from a function without a status NULL, 0, false or KAT_ABSENT; never a crash.
// Pointers that are neither NULL nor valid are undefined behaviour, as everywhere in C.
//
// Statuses. A function that can fail returns a kat_status and takes as its last parameter the place for a
// kat_error, which may be NULL. Out-parameters come last before it, and are written only on
// KAT_STATUS_OK. Any function that returns a status can return KAT_STATUS_NULL_ARG,
// KAT_STATUS_INVALID_ARG and KAT_STATUS_PANIC; each one says what else. Functions that talk to the
// server can also return KAT_STATUS_TRANSPORT, _TIMEOUT, _HTTP, _DECODE, _API and _CANCELLED.
//
// Setters return a status too, but need not be checked: an object remembers the first thing that a
// setter refused, and the call that uses the object fails with it.
//
// Strings. In: UTF-8 with a NUL at the end, copied before the function returns; anything but UTF-8 gives
// KAT_STATUS_INVALID_ARG. Out: UTF-8 with a NUL at the end, borrowed; NULL when the server left the
// field out. A NUL in the middle of a text from the server becomes U+FFFD.
//
// Numbers. Instants are seconds since 1970 (..._unix), durations are seconds, timeouts milliseconds
// (..._ms). KAT_ABSENT is a number that is not there. Unset is not zero: what was never set is not
// sent, and setting NULL or KAT_ABSENT makes a parameter unset again. Enumerations are passed as
// integers, and an unknown value from the server is kept as it is.
//
// Threads. A function that takes a handle as a pointer to const may be called for that handle from many
// threads at once. One that takes it as a pointer to non-const wants it for itself. Results may be
// handed to another thread.
//
// The library starts a thread for each client that something was submitted to a kat_queue for, until client
// and calls are gone; for each host's name that a client is looking up, until it is found or the system gives
// up; and for each token file that a kat_provider is reading. Nothing of the caller's runs on them.
//
// Signals. The library installs no signal handler and ignores no signal. Its threads block every signal but
// SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT and SIGPROF: the program's handlers run on the
// program's threads. Writing to a connection that the server has closed raises no SIGPIPE in the program. While
// it makes a call a thread blocks SIGPIPE, and takes one that was raised meanwhile back before the mask is again
// what it was; one that was pending before stays.
//
// Secrets. Token values, sessions (KS) and admin secrets are in no error text and are wiped when their
// handle is freed. Copies that the caller makes are the caller's.
//
// Processes. After fork a child may use and must not share: a kat_client works on both sides, each with
// connections of its own, and so does a kat_provider, which begins with no session in the child. A
// kat_queue or kat_token_iter answers KAT_STATUS_FORKED in the child, which may free it. The library prints
// nothing, never exits, and has no global state. It reads the environment only in kat_config_from_env,
// after kat_config_set_network_environment, for a kat_token_source that says so, and, for https without a
// CA file, SSL_CERT_FILE and SSL_CERT_DIR as OpenSSL does.
//
// Versions. 0.x promises nothing from one minor version to the next; the soname says 0.MINOR. From 1.0 on
// functions, statuses and constants are only added.

#ifndef KALTURA_APP_TOKEN_H
#define KALTURA_APP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define KAT_MUST_USE __attribute__((warn_unused_result))
#else
#define KAT_MUST_USE
#endif

// The version compiled against; kat_version and kat_version_number tell the one that is running.
#define KAT_VERSION "0.1.0"
#define KAT_VERSION_MAJOR 0
#define KAT_VERSION_MINOR 1
#define KAT_VERSION_PATCH 0
#define KAT_VERSION_NUMBER (KAT_VERSION_MAJOR * 1000000 + KAT_VERSION_MINOR * 1000 + KAT_VERSION_PATCH)

// A number that is not there: no instant, duration or id has this value.
#define KAT_ABSENT INT64_MIN

// Hash types. Others that a server may name are kept, but cannot be computed here.
#define KAT_HASH_MD5 "MD5"
#define KAT_HASH_SHA1 "SHA1"
#define KAT_HASH_SHA256 "SHA256"
#define KAT_HASH_SHA512 "SHA512"

// Room for any hash of kat_token_hash, its NUL included.
#define KAT_HASH_SIZE 129

// What came of a call. Values are never given another meaning; a later version may add some.
typedef enum {
  // It did what it says.
  KAT_STATUS_OK = 0,
  // A pointer that must not be NULL is.
  KAT_STATUS_NULL_ARG = 1,
  // The input or the configuration cannot be used. Nothing was sent.
  KAT_STATUS_INVALID_ARG = 2,
  // No connection came about, or it broke.
  KAT_STATUS_TRANSPORT = 3,
  // An attempt or the whole call took longer than the configuration allows.
  KAT_STATUS_TIMEOUT = 4,
  // An HTTP status other than 200: see kat_error_http_status.
  KAT_STATUS_HTTP = 5,
  // The answer is not what the API answers.
  KAT_STATUS_DECODE = 6,
  // The API answered with an exception: see kat_error_api_code.
  KAT_STATUS_API = 7,
  // A token may or may not have been created: see kat_error_candidate_id. Do not just try again.
  KAT_STATUS_OUTCOME_UNKNOWN = 8,
  // A kat_cancel or kat_queue_cancel ended the call.
  KAT_STATUS_CANCELLED = 9,
  // The handle belongs to the process that this one was forked from.
  KAT_STATUS_FORKED = 10,
  // A defect of the library. Handles that took part can still be freed.
  KAT_STATUS_PANIC = 11,
  // The queue has as many operations in flight as it may have. Comes without an error object.
  KAT_STATUS_QUEUE_FULL = 12,
  // No completion came within the time. Comes without an error object.
  KAT_STATUS_QUEUE_EMPTY = 13,
  // The completion holds no such result, or it was taken already.
  KAT_STATUS_WRONG_TAKE = 14,
  // There is no further token. Comes without an error object.
  KAT_STATUS_END = 15,
  // A file of this machine could not be written, locked or kept; nothing is wrong with the server.
  KAT_STATUS_LOCAL = 16,
  // A rotation's new token could not be shown to be as good as the old one.
  KAT_STATUS_UNPROVED = 17,
  // The client was closed, before the call or in the middle of it.
  KAT_STATUS_CLOSED = 18,
} kat_status;

// Why no connection came about: for kat_error_cause. A later version may add some.
typedef enum {
  // The call failed in another way.
  KAT_CONNECT_CAUSE_NONE = 0,
  // The server's name has no address.
  KAT_CONNECT_CAUSE_DNS = 1,
  // The server's machine takes no connections at this port.
  KAT_CONNECT_CAUSE_REFUSED = 2,
  // Nobody answered in time.
  KAT_CONNECT_CAUSE_TIMEOUT = 3,
  // The server's certificate is not trusted, or is another server's.
  KAT_CONNECT_CAUSE_TLS_TRUST = 4,
  // What answered does not speak TLS, or no version of it that is accepted.
  KAT_CONNECT_CAUSE_TLS_PROTOCOL = 5,
  // The proxy could not be reached, or does not let the connection through.
  KAT_CONNECT_CAUSE_PROXY = 6,
  // The connection was closed before anything of the request was sent.
  KAT_CONNECT_CAUSE_RESET = 7,
  // None of these, or not known.
  KAT_CONNECT_CAUSE_OTHER = 8,
} kat_connect_cause;

// How the session that manages tokens comes about: for kat_config_set_admin_session.
typedef enum {
  // Signed here from the admin secret, as a KS version 2; nothing secret travels. What is done unless
  // set.
  KAT_ADMIN_SESSION_SIGNED_V2 = 0,
  // Signed here as a KS version 1, for servers that know nothing newer.
  KAT_ADMIN_SESSION_SIGNED_V1 = 1,
  // Asked of the server with session.start, which sends it the admin secret.
  KAT_ADMIN_SESSION_STARTED = 2,
} kat_admin_session;

// The status of a token. No call can set it: deleting is the only revocation.
typedef enum {
  // Cannot be exchanged.
  KAT_APP_TOKEN_STATUS_DISABLED = 1,
  // Can be exchanged.
  KAT_APP_TOKEN_STATUS_ACTIVE = 2,
  // Is deleted.
  KAT_APP_TOKEN_STATUS_DELETED = 3,
} kat_app_token_status;

// Why the API refused a session, as INVALID_KS says in its argument KSID: for kat_provider_reject.
typedef enum {
  // "EXPIRED": another session helps.
  KAT_KS_FAILURE_EXPIRED = 1,
  // "LOGOUT": it was ended, or its token deleted. Only another token helps.
  KAT_KS_FAILURE_LOGGED_OUT = 2,
  // "EXCEEDED_ACTIONS_LIMIT": its actionslimit is used up. Another session helps.
  KAT_KS_FAILURE_ACTIONS_LIMIT = 3,
  // "EXCEEDED_RESTRICTED_IP": its iprestrict does not hold this address.
  KAT_KS_FAILURE_RESTRICTED_IP = 4,
  // "EXCEEDED_RESTRICTED_URI": its urirestrict does not hold this path.
  KAT_KS_FAILURE_RESTRICTED_URI = 5,
  // Anything else: it is not one of this server and account.
  KAT_KS_FAILURE_NOT_ACCEPTED = 6,
} kat_ks_failure;

// Which call a completion belongs to.
typedef enum {
  // kat_client_add_token_submit: take a token.
  KAT_OPERATION_ADD_TOKEN = 1,
  // kat_client_get_token_submit: take a token.
  KAT_OPERATION_GET_TOKEN = 2,
  // kat_client_update_token_submit: take a token.
  KAT_OPERATION_UPDATE_TOKEN = 3,
  // kat_client_delete_token_submit: nothing to take.
  KAT_OPERATION_DELETE_TOKEN = 4,
  // kat_client_list_tokens_submit: take a list.
  KAT_OPERATION_LIST_TOKENS = 5,
  // kat_client_start_session_submit: take a session.
  KAT_OPERATION_START_SESSION = 6,
  // kat_client_start_widget_session_submit: take a session.
  KAT_OPERATION_START_WIDGET_SESSION = 7,
  // kat_client_start_admin_session_submit: take a session.
  KAT_OPERATION_START_ADMIN_SESSION = 8,
  // kat_client_session_info_submit: take a session info.
  KAT_OPERATION_SESSION_INFO = 9,
  // kat_client_end_session_submit: nothing to take.
  KAT_OPERATION_END_SESSION = 10,
  // kat_provider_get_submit: take a session.
  KAT_OPERATION_PROVIDER_GET = 11,
  // kat_provider_reject_submit: take a session.
  KAT_OPERATION_PROVIDER_REJECT = 12,
} kat_operation;

// Where a privilege string is going to be used; the server treats the two differently.
typedef enum {
  // On a token, or in a KS signed with the admin secret.
  KAT_PRIVILEGE_USE_TOKEN = 0,
  // Asked for in addition when a token is exchanged for a session.
  KAT_PRIVILEGE_USE_START_SESSION = 1,
} kat_privilege_use;

// How the fields of kat_response_profile_new are meant.
typedef enum {
  // Only these.
  KAT_PROFILE_FIELDS_INCLUDE = 1,
  // All but these.
  KAT_PROFILE_FIELDS_EXCLUDE = 2,
} kat_profile_fields;

// The type of a session.
typedef enum {
  // May do what its privileges and role allow.
  KAT_SESSION_TYPE_USER = 0,
  // May do everything, managing tokens included.
  KAT_SESSION_TYPE_ADMIN = 2,
} kat_session_type;

// A field that kat_token_params_clear clears.
typedef enum {
  // Only of a new token, where it leaves the hash type to the server, which takes SHA1.
  KAT_TOKEN_FIELD_HASH_TYPE = 1,
  // Whoever exchanges the token then chooses the type, ADMIN included.
  KAT_TOKEN_FIELD_SESSION_TYPE = 2,
  // The server then takes the account's maximum.
  KAT_TOKEN_FIELD_SESSION_DURATION = 3,
  // The token then gives no privileges.
  KAT_TOKEN_FIELD_SESSION_PRIVILEGES = 4,
  // Whoever exchanges the token then chooses the user.
  KAT_TOKEN_FIELD_SESSION_USER_ID = 5,
  // No note.
  KAT_TOKEN_FIELD_DESCRIPTION = 6,
  // The token then never expires.
  KAT_TOKEN_FIELD_EXPIRY = 7,
} kat_token_field;

// Cancels calls from another thread.
//
// 1. Make one with kat_cancel_new, and pass it to any number of calls.
// 2. kat_cancel_trigger makes all of them, and every later one, end with KAT_STATUS_CANCELLED.
// 3. Free it with kat_cancel_free when those calls have returned.
typedef struct kat_cancel kat_cancel;

// Manages an account's tokens and exchanges tokens for sessions.
//
// Every function takes it as a pointer to const: one client serves all threads, and should, because they
// share its connections and its widget session. A call blocks the thread that makes it until the answer
// is there, the deadline of kat_config_set_total_timeout_ms has passed, or a kat_cancel ends it. In an event
// loop use the functions called ..._submit.
typedef struct kat_client kat_client;

// What came of a submitted call. One thread at a time.
//
// What is taken from it is the caller's. What is not taken is freed with it.
typedef struct kat_completion kat_completion;

// Settings of a client.
//
// 1. Make one with kat_config_new, kat_config_from_env or kat_config_from_file.
// 2. Set what is to differ. Partner id, credentials and service URL come from one source together: to set
//    another account's by hand beside one that was read is an error of kat_client_new, and credentials
//    that are set by hand want their service URL set too. A service URL alone is for what was read.
// 3. Make clients from it with kat_client_new, and free it with kat_config_free.
typedef struct kat_config kat_config;

// Why a call failed, without any credential in it.
//
// 1. Set a kat_error pointer to NULL and pass its address as the last argument, or pass NULL.
// 2. When the status is not KAT_STATUS_OK, the pointer names a new error (but see KAT_STATUS_QUEUE_FULL,
//    KAT_STATUS_QUEUE_EMPTY and KAT_STATUS_END). Otherwise it is as it was.
// 3. Read it from any thread, and free it with kat_error_free.
typedef struct kat_error kat_error;

// What a KS says, as far as it could be read.
typedef struct kat_ks_info kat_ks_info;

// What a KS to be signed says.
typedef struct kat_ks_params kat_ks_params;

// What will not work as it reads: the findings of kat_privileges_lint.
typedef struct kat_lint_list kat_lint_list;

// Which tokens to list, and how.
typedef struct kat_list_params kat_list_params;

// An ordered set of privileges, each a name with any number of values.
//
// What is borrowed from it is valid until it is changed or freed.
typedef struct kat_privileges kat_privileges;

// Hands out sessions of one token, and starts one only when there is no good one.
//
// 1. Make one with kat_provider_new, for as long as the program runs.
// 2. Before each use of the API ask kat_provider_get for a session: it is good now. Most calls return one that
//    is kept, without talking to the server.
// 3. When the API refuses it with INVALID_KS, say so with kat_provider_reject, and try once more with what
//    that returns.
//
// A session is renewed when about a quarter of its life is left: one caller does it while the others go
// on with the old one, and once that has expired all wait for the one renewal. For equal keys there is never
// more than one exchange at a time, however many threads or queued calls ask. A caller that cancels disturbs
// no other. Nobody who has a good session waits longer than 50 ms for another. After a failed exchange the next
// one for an equal key waits: 1 s, 2 s, 4 s, up to a minute, or as long as the server asks for, up to a day. Until
// then a good session goes on for as long as it lasts, and without one the same error is returned at once.
//
// Every function takes it as a pointer to const: one provider serves all threads. It never ends a session on the
// server. A renewal that its caller no longer waits for is seen through by a thread that ends with it; while idle
// there is none. After fork it works on both sides; a child begins with no session.
typedef struct kat_provider kat_provider;

// Settings of a provider.
typedef struct kat_provider_params kat_provider_params;

// Calls in flight, and a file descriptor that says when one has completed.
//
// 1. Make one with kat_queue_new, and have poll, epoll or select watch kat_queue_fd for reading.
// 2. Submit calls with the functions called ..._submit. They return at once. tag is any number
//    (or pointer, by way of uintptr_t) that the caller knows the call by; tags may repeat. *operation, which
//    may be NULL, gets a number that never repeats, for kat_queue_cancel.
// 3. When the descriptor is readable, collect with kat_queue_next and take the result out of the
//    kat_completion.
//
// Every accepted call has exactly one completion, also when it fails or is cancelled. The descriptor is
// readable if and only if a completion waits (level-triggered). A call is in flight from its submission until
// its completion is collected; beyond the limit, submit returns KAT_STATUS_QUEUE_FULL and the call is not made.
//
// All functions may be called from many threads at once, also kat_queue_next. One queue may serve many clients and providers.
// The first call submitted for a client starts a thread that makes this client's calls until the client and its
// calls are gone; nothing of the caller's runs on it, no signal handler either.
// After fork, in the child, every function answers KAT_STATUS_FORKED; kat_queue_free is harmless there.
typedef struct kat_queue kat_queue;

// Which fields an answer is to carry: one of the API's three kinds of response profiles.
typedef struct kat_response_profile kat_response_profile;

// A session that was started. Nothing changes it, so it may be read from many threads.
typedef struct kat_session kat_session;

// What the server reads from a session: the answer of kat_client_session_info.
typedef struct kat_session_info kat_session_info;

// Which session is wanted of a provider. Equal keys share a session; min_remaining is a wish of the call and
// does not tell keys apart.
typedef struct kat_session_key kat_session_key;

// What to exchange for a session.
typedef struct kat_session_params kat_session_params;

// A string that the library made and the caller owns.
//
//   kat_string *ks = NULL;
//   if (kat_ks_sign(params, secret, 2, &ks, NULL) == KAT_STATUS_OK) {
//       puts(kat_string_text(ks));
//       kat_string_free(ks);
//   }
typedef struct kat_string kat_string;

// An application token. Nothing changes it, so it may be read from many threads.
//
// One from a kat_token_list is the list's and is not freed by itself.
typedef struct kat_token kat_token;

// A walk over all tokens, made by kat_client_tokens: fetches a page when it needs one.
//
//   while ((status = kat_token_iter_next(iter, NULL, &token, &error)) == KAT_STATUS_OK) {
//       puts(kat_token_id(token));
//       kat_token_free(token);
//   }
//   if (status != KAT_STATUS_END) ...
typedef struct kat_token_iter kat_token_iter;

// One page of tokens.
typedef struct kat_token_list kat_token_list;

// What a new token is to be, or what an update is to change.
//
// A new token is USER and SHA256 unless set otherwise: left to itself the server would take SHA1, and would
// let whoever exchanges the token choose ADMIN. An update changes what is set or cleared, and nothing else.
typedef struct kat_token_params kat_token_params;

// Where a provider gets its token's id and value from. It asks for every session that it starts, so that a
// changed variable or file counts from the next session on. Nothing changes a source, so it may serve many
// providers.
//
// A source that has no token is not an error before a session is to be started: the call then returns
// KAT_STATUS_INVALID_ARG.
typedef struct kat_token_source kat_token_source;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The version of the library that is running, such as "0.1.0"; KAT_VERSION is the one compiled against.
// Static.
const char *kat_version(void);

// The same as one number, to be compared with KAT_VERSION_NUMBER: major * 1000000 + minor * 1000 + patch.
uint32_t kat_version_number(void);

// A client for what the config says. Connects to nothing yet, and keeps nothing of the config.
//
// KAT_STATUS_INVALID_ARG names what cannot be used, the first refused setter of the config included.
KAT_MUST_USE kat_status kat_client_new(const kat_config *config, kat_client **out, kat_error **err);

// Closes the connections and frees a client that no call uses any more. Operations that were submitted to a
// queue go on, and so do providers; the connections are then closed with the last of them. NULL does nothing.
void kat_client_free(kat_client *client);

// The service URL in use. Borrowed from the client.
const char *kat_client_service_url(const kat_client *client);

// The account, or KAT_ABSENT.
int64_t kat_client_partner_id(const kat_client *client);

// How many seconds the server's clock is ahead of this machine's; KAT_ABSENT before its first answer.
int64_t kat_client_clock_difference(const kat_client *client);

// Creates a token (appToken.add). Its value is in the answer.
//
// The request is never sent a second time once it may have arrived: KAT_STATUS_OUTCOME_UNKNOWN when nobody
// can tell whether the token exists, also after a cancel. After any other failure there is none.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_add_token(const kat_client *client,
                                const kat_token_params *params,
                                const kat_cancel *cancel,
                                kat_token **out,
                                kat_error **err);

// One token by its id (appToken.get), with its value. profile may be NULL.
//
// KAT_STATUS_API with "APP_TOKEN_ID_NOT_FOUND" for an unknown or deleted one.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_get_token(const kat_client *client,
                                const char *id,
                                const kat_response_profile *profile,
                                const kat_cancel *cancel,
                                kat_token **out,
                                kat_error **err);

// Changes a token (appToken.update): only what is set or cleared in params is sent. Returns it as it is then.
//
// KAT_STATUS_INVALID_ARG when nothing is to change.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_update_token(const kat_client *client,
                                   const char *id,
                                   const kat_token_params *params,
                                   const kat_cancel *cancel,
                                   kat_token **out,
                                   kat_error **err);

// Deletes a token (appToken.delete), the only way to revoke it.
//
// KAT_STATUS_API with "APP_TOKEN_ID_NOT_FOUND" for an unknown one.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_delete_token(const kat_client *client,
                                   const char *id,
                                   const kat_cancel *cancel,
                                   kat_error **err);

// One page of tokens (appToken.list). params may be NULL: the first page of all of them.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_list_tokens(const kat_client *client,
                                  const kat_list_params *params,
                                  const kat_cancel *cancel,
                                  kat_token_list **out,
                                  kat_error **err);

// Exchanges a token for a session: widget session, hash, appToken.startSession. The client needs a partner id
// and no admin secret. All exchanges of a client share one widget session.
//
// KAT_STATUS_API with "INVALID_APP_TOKEN_HASH", "APP_TOKEN_ID_NOT_FOUND", "APP_TOKEN_NOT_ACTIVE" or
// "APP_TOKEN_EXPIRED"; each comes with a hint.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_start_session(const kat_client *client,
                                    const kat_session_params *params,
                                    const kat_cancel *cancel,
                                    kat_session **out,
                                    kat_error **err);

// A new widget session (session.startWidgetSession): anonymous, for anybody who knows the account.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_start_widget_session(const kat_client *client,
                                           const kat_cancel *cancel,
                                           kat_session **out,
                                           kat_error **err);

// An ADMIN session from the server (session.start), which sends it the admin secret. To sign one here instead:
// kat_client_sign_admin_session.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_start_admin_session(const kat_client *client,
                                          const kat_cancel *cancel,
                                          kat_session **out,
                                          kat_error **err);

// What the server reads from a session (session.get), asked with the client's admin session. ks may be NULL: that
// session itself.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_session_info(const kat_client *client,
                                   const char *ks,
                                   const kat_cancel *cancel,
                                   kat_session_info **out,
                                   kat_error **err);

// Ends a session (session.end).
//
// A session minted from a token takes the token with it: every later one of the same token is refused.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_client_end_session(const kat_client *client,
                                  const char *ks,
                                  const kat_cancel *cancel,
                                  kat_error **err);

// An ADMIN session signed here with the admin secret, as a KS of this version, 1 or 2. Nothing is sent.
//
// KAT_STATUS_INVALID_ARG without partner id and admin secret.
KAT_MUST_USE
kat_status kat_client_sign_admin_session(const kat_client *client,
                                         int32_t version,
                                         kat_session **out,
                                         kat_error **err);

// A walk over all tokens that pass the filters of params, which may be NULL. Page and order are the walk's
// own. Nothing is sent before the first kat_token_iter_next; the walk keeps what it needs of the client.
KAT_MUST_USE
kat_status kat_client_tokens(const kat_client *client,
                             const kat_list_params *params,
                             kat_token_iter **out,
                             kat_error **err);

// A cancel that is not triggered.
kat_cancel *kat_cancel_new(void);

// Ends every call that was given the cancel, and every later one. From any thread, as often as one likes, but
// not from a signal handler. NULL does nothing.
void kat_cancel_trigger(const kat_cancel *cancel);

// Whether it has been triggered. false for NULL.
bool kat_cancel_is_triggered(const kat_cancel *cancel);

// Frees a cancel that no call uses any more. NULL does nothing.
void kat_cancel_free(kat_cancel *cancel);

// A config with nothing set: no account, and nothing read from anywhere. NULL only where another
// function would return KAT_STATUS_PANIC, as from every ..._new.
kat_config *kat_config_new(void);

// A config from KALTURA_PARTNER_ID, KALTURA_ADMIN_SECRET, KALTURA_KS, KALTURA_SERVICE_URL,
// KALTURA_USER_ID, KALTURA_SESSION_EXPIRY (seconds), KALTURA_APP_TOKEN_ID and KALTURA_APP_TOKEN. An empty
// variable is unset. A secret may stand in a file: KALTURA_ADMIN_SECRET_FILE, KALTURA_KS_FILE or
// KALTURA_APP_TOKEN_FILE names it.
//
// KAT_STATUS_INVALID_ARG when a variable that must be a number is none, one is not UTF-8, a secret is
// given in both ways, or its file cannot be used. As with getenv, no other thread
// may change the environment meanwhile.
KAT_MUST_USE kat_status kat_config_from_env(kat_config **out, kat_error **err);

// A config from a JSON file with PARTNER_ID, ADMIN_SECRET, KALTURA_SERVICE_URL, USER_ID, EXPIRY (seconds)
// and DEFAULT_ADMIN_PRIVILEGES.
//
// KAT_STATUS_INVALID_ARG when there is no such file, it is not JSON, or a value cannot be used.
KAT_MUST_USE kat_status kat_config_from_file(const char *path, kat_config **out, kat_error **err);

// Frees a config; clients made from it live on. NULL does nothing.
void kat_config_free(kat_config *config);

// The token id that was read, or NULL. Borrowed from the config.
const char *kat_config_token_id(const kat_config *config);

// The token's value that was read, or NULL. A secret. Borrowed from the config.
const char *kat_config_token_value(const kat_config *config);

// How many warnings there are, such as a file with a secret that other users can read.
size_t kat_config_warning_count(const kat_config *config);

// One warning, from 0; NULL beyond the last. Borrowed from the config.
const char *kat_config_warning(const kat_config *config, size_t index);

// The account, above 0. KAT_ABSENT: unset.
kat_status kat_config_set_partner_id(kat_config *config, int64_t partner_id);

// The account's admin secret, for managing tokens; exchanging a token does not need it. NULL: unset.
kat_status kat_config_set_admin_secret(kat_config *config, const char *secret);

// An ADMIN session to manage tokens with, instead of the admin secret. NULL: unset.
kat_status kat_config_set_ks(kat_config *config, const char *ks);

// The service URL, with or without scheme and /api_v3, or a region: "us", "de", "eu", "sg", "ca", "ap".
// NULL: unset, which means https://www.kaltura.com.
kat_status kat_config_set_service_url(kat_config *config, const char *url);

// The user of the admin session. NULL: unset, which means the anonymous one.
kat_status kat_config_set_user_id(kat_config *config, const char *user_id);

// How many seconds an admin session lasts. KAT_ABSENT: unset, which means a day.
kat_status kat_config_set_admin_session_duration(kat_config *config, int64_t duration);

// The privileges of the admin session. NULL: unset, which means none.
kat_status kat_config_set_admin_privileges(kat_config *config, const char *privileges);

// How the admin session comes about: a kat_admin_session.
kat_status kat_config_set_admin_session(kat_config *config, int32_t how);

// Whether plain http to another machine is allowed. It sends credentials in the clear. No unless set;
// http to this machine always is.
kat_status kat_config_set_allow_http(kat_config *config, bool allow);

// Whether proxies and a CA file are taken from HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE and the like. No
// unless set. The variables are read by kat_client_new.
kat_status kat_config_set_network_environment(kat_config *config, bool read);

// The User-Agent header. NULL: unset, which means "kaltura-app-token/VERSION".
kat_status kat_config_set_user_agent(kat_config *config, const char *user_agent);

// The longest time to wait for a connection. KAT_ABSENT: unset, which means 10 s.
kat_status kat_config_set_connect_timeout_ms(kat_config *config, int64_t timeout_ms);

// The longest time for one attempt. KAT_ABSENT: unset, which means 20 s.
kat_status kat_config_set_attempt_timeout_ms(kat_config *config, int64_t timeout_ms);

// The deadline of every call: the longest time for all attempts and waits together. KAT_ABSENT: unset,
// which means 60 s.
kat_status kat_config_set_total_timeout_ms(kat_config *config, int64_t timeout_ms);

// How long a connection is kept without use. KAT_ABSENT: unset, which means 4 s.
kat_status kat_config_set_idle_timeout_ms(kat_config *config, int64_t timeout_ms);

// How many times a request is sent again at most; 3 unless set. appToken.add is never sent again once it
// may have arrived.
kat_status kat_config_set_max_retries(kat_config *config, uint32_t retries);

// The first wait before a retry, doubled for each following one. KAT_ABSENT: unset, which means 1 s.
kat_status kat_config_set_retry_backoff_ms(kat_config *config, int64_t backoff_ms);

// The largest answer that is read, in bytes; 32 MiB unless set.
kat_status kat_config_set_max_response_bytes(kat_config *config, size_t bytes);

// The proxy, as a URL; never used for this machine. NULL: unset, which means none.
kat_status kat_config_set_proxy(kat_config *config, const char *url);

// A PEM file of certificate authorities to trust instead of the system's. NULL: unset.
kat_status kat_config_set_ca_file(kat_config *config, const char *path);

// The name of a status without its prefix, such as "API"; "UNKNOWN" for any other number. Static.
const char *kat_status_name(int32_t status);

// The status that the failed call returned. KAT_STATUS_OK for NULL.
kat_status kat_error_status(const kat_error *error);

// What happened, in one line. Borrowed from the error. NULL for NULL.
const char *kat_error_message(const kat_error *error);

// The likely cause and the next step, or NULL. Borrowed from the error.
const char *kat_error_hint(const kat_error *error);

// The API's code as the server spelled it, such as "INVALID_APP_TOKEN_HASH"; NULL unless the status is
// KAT_STATUS_API. Borrowed from the error.
const char *kat_error_api_code(const kat_error *error);

// Why no connection came about, with KAT_STATUS_TRANSPORT; KAT_CONNECT_CAUSE_NONE when one did and broke.
kat_connect_cause kat_error_cause(const kat_error *error);

// The HTTP status, when the answer had one other than 200; otherwise 0.
int32_t kat_error_http_status(const kat_error *error);

// Whether the same call may succeed later without any change. The library has used up its own retries.
bool kat_error_retryable(const kat_error *error);

// The request that failed, such as "appToken.add", or NULL. Borrowed from the error.
const char *kat_error_request(const kat_error *error);

// How often the request was sent or tried to be sent; 0 when it never came to that.
uint32_t kat_error_attempts(const kat_error *error);

// How many tokens may be the one whose creation is in doubt. 0 proves nothing.
size_t kat_error_candidate_count(const kat_error *error);

// The id of one of them, from 0; NULL beyond the last. Borrowed from the error.
const char *kat_error_candidate_id(const kat_error *error, size_t index);

// Frees an error. NULL does nothing.
void kat_error_free(kat_error *error);

// Parameters with nothing set.
kat_ks_params *kat_ks_params_new(void);

// Frees parameters. NULL does nothing.
void kat_ks_params_free(kat_ks_params *params);

// The account. Must be set.
kat_status kat_ks_params_set_partner_id(kat_ks_params *params, int64_t partner_id);

// The user. NULL: unset, which means the anonymous one.
kat_status kat_ks_params_set_user_id(kat_ks_params *params, const char *user_id);

// The type, a kat_session_type. KAT_ABSENT: unset, which means USER.
kat_status kat_ks_params_set_session_type(kat_ks_params *params, int64_t session_type);

// When the KS expires. Must be set.
kat_status kat_ks_params_set_expiry_unix(kat_ks_params *params, int64_t expiry_unix);

// The privileges, such as "edit:*,list:*". NULL: unset, which means none.
kat_status kat_ks_params_set_privileges(kat_ks_params *params, const char *privileges);

// The account on whose behalf the KS is used. KAT_ABSENT: unset.
kat_status kat_ks_params_set_master_partner_id(kat_ks_params *params, int64_t partner_id);

// Any text that is to travel along. NULL: unset.
kat_status kat_ks_params_set_additional_data(kat_ks_params *params, const char *data);

// Signs a KS of this version, 1 or 2, with the account's admin secret, which also signs USER sessions.
KAT_MUST_USE
kat_status kat_ks_sign(const kat_ks_params *params,
                       const char *secret,
                       int32_t version,
                       kat_string **out,
                       kat_error **err);

// Opens a KS with the secret that signed it, and verifies it. Whether it has expired is not looked at.
//
// KAT_STATUS_INVALID_ARG when it is no KS, or was not signed with this secret.
KAT_MUST_USE kat_status kat_ks_open(const char *ks, const char *secret, kat_ks_info **out, kat_error **err);

// Reads what a KS shows to anybody: everything of a version 1, the account of a version 2.
//
// KAT_STATUS_INVALID_ARG when it is no KS.
KAT_MUST_USE kat_status kat_ks_describe(const char *ks, kat_ks_info **out, kat_error **err);

// The format: 1 or 2.
int32_t kat_ks_info_version(const kat_ks_info *info);

// Whether a secret proved it genuine. A description never is.
bool kat_ks_info_verified(const kat_ks_info *info);

// The account, or KAT_ABSENT. In a version 2 it is outside of what is signed.
int64_t kat_ks_info_partner_id(const kat_ks_info *info);

// The type, or KAT_ABSENT.
int64_t kat_ks_info_session_type(const kat_ks_info *info);

// The user, or NULL. Borrowed.
const char *kat_ks_info_user_id(const kat_ks_info *info);

// When it expires, or KAT_ABSENT.
int64_t kat_ks_info_expiry_unix(const kat_ks_info *info);

// The privileges; NULL when they cannot be read without the secret. Borrowed.
const char *kat_ks_info_privileges(const kat_ks_info *info);

// The account on whose behalf it is used, or KAT_ABSENT.
int64_t kat_ks_info_master_partner_id(const kat_ks_info *info);

// Any text that travels along, or NULL. Borrowed.
const char *kat_ks_info_additional_data(const kat_ks_info *info);

// What makes it different from another with the same fields, or NULL. Borrowed.
const char *kat_ks_info_random(const kat_ks_info *info);

// Frees it. NULL does nothing.
void kat_ks_info_free(kat_ks_info *info);

// Writes the hash that appToken.startSession wants into buffer: lower-case hex and a NUL.
//
// buffer has room for size bytes; KAT_HASH_SIZE are enough for every hash type. written may be NULL; it gets
// the length without the NUL. KAT_STATUS_INVALID_ARG for an unknown hash type or a buffer that is too small,
// which is then left alone. kat_client_start_session does all of this by itself.
KAT_MUST_USE
kat_status kat_token_hash(const char *hash_type,
                          const char *ks,
                          const char *value,
                          char *buffer,
                          size_t size,
                          size_t *written,
                          kat_error **err);

// Parameters with nothing set.
kat_token_params *kat_token_params_new(void);

// Frees parameters. NULL does nothing.
void kat_token_params_free(kat_token_params *params);

// The hash type: one of KAT_HASH_SHA256 and the like. NULL: unset, which means SHA256 for a new token and no
// change for an update.
kat_status kat_token_params_set_hash_type(kat_token_params *params, const char *hash_type);

// The type of the token's sessions: a kat_session_type. KAT_ABSENT: unset, which means USER for a new
// token and no change for an update.
kat_status kat_token_params_set_session_type(kat_token_params *params, int64_t session_type);

// The longest life of the token's sessions, in seconds. KAT_ABSENT: unset, which means for a new token the
// account's maximum. 0 is refused by the call: its sessions would be dead at birth.
kat_status kat_token_params_set_session_duration(kat_token_params *params, int64_t duration);

// The privileges of the token's sessions, such as "sview:*,list:*". NULL: unset.
kat_status kat_token_params_set_session_privileges(kat_token_params *params, const char *privileges);

// The user of the token's sessions. NULL: unset, which means for a new token that whoever exchanges it
// chooses; "" is the anonymous user.
kat_status kat_token_params_set_session_user_id(kat_token_params *params, const char *user_id);

// A note for people. NULL: unset.
kat_status kat_token_params_set_description(kat_token_params *params, const char *description);

// When the token stops working. KAT_ABSENT: unset, which means for a new token never.
kat_status kat_token_params_set_expiry_unix(kat_token_params *params, int64_t expiry_unix);

// Clears a field, a kat_token_field: an update sets it to null, which is neither the empty string nor
// unset. For a new token, clearing the hash type leaves it to the server (SHA1), and clearing the session
// type lets whoever exchanges the token choose ADMIN; other fields of a new token are then just unset.
kat_status kat_token_params_clear(kat_token_params *params, int32_t which);

// Which fields the answer is to carry. Copied. NULL: unset, which means all.
kat_status kat_token_params_set_response_profile(kat_token_params *params,
                                                 const kat_response_profile *profile);

// Parameters that list every token, 500 to a page, without their values.
kat_list_params *kat_list_params_new(void);

// Frees parameters. NULL does nothing.
void kat_list_params_free(kat_list_params *params);

// How many tokens a page holds at most, 1 to 500.
kat_status kat_list_params_set_page_size(kat_list_params *params, uint32_t size);

// Which page kat_client_list_tokens fetches, from 1.
kat_status kat_list_params_set_page_index(kat_list_params *params, uint32_t index);

// Whether the tokens' values are sent too. No unless set: they stay on the server.
kat_status kat_list_params_set_with_secrets(kat_list_params *params, bool with);

// Which fields the answer is to carry. Copied. NULL: unset, which means all but the value.
kat_status kat_list_params_set_response_profile(kat_list_params *params, const kat_response_profile *profile);

// Only the token with this id. NULL: unset.
kat_status kat_list_params_set_id_equal(kat_list_params *params, const char *id);

// Only tokens with this id, or another one that is added.
kat_status kat_list_params_add_id_in(kat_list_params *params, const char *id);

// Only tokens with this kat_app_token_status. KAT_ABSENT: unset.
kat_status kat_list_params_set_status_equal(kat_list_params *params, int64_t status);

// Only tokens with this kat_app_token_status, or another one that is added.
kat_status kat_list_params_add_status_in(kat_list_params *params, int64_t status);

// Only tokens created then or later. KAT_ABSENT: unset.
kat_status kat_list_params_set_created_at_greater_than_or_equal_unix(kat_list_params *params,
                                                                     int64_t instant);

// Only tokens created then or earlier. KAT_ABSENT: unset.
kat_status kat_list_params_set_created_at_less_than_or_equal_unix(kat_list_params *params, int64_t instant);

// Only tokens changed then or later. KAT_ABSENT: unset.
kat_status kat_list_params_set_updated_at_greater_than_or_equal_unix(kat_list_params *params,
                                                                     int64_t instant);

// Only tokens changed then or earlier. KAT_ABSENT: unset.
kat_status kat_list_params_set_updated_at_less_than_or_equal_unix(kat_list_params *params, int64_t instant);

// Only tokens of this user; case does not matter. NULL: unset.
kat_status kat_list_params_set_session_user_id_equal(kat_list_params *params, const char *user_id);

// Only tokens with this hash type. Filtered here, since servers ignore it: a page may hold fewer tokens than
// its size. NULL: unset.
kat_status kat_list_params_set_hash_type_equal(kat_list_params *params, const char *hash_type);

// Only tokens with this kat_session_type. Filtered here, as the hash type is. KAT_ABSENT: unset.
kat_status kat_list_params_set_session_type_equal(kat_list_params *params, int64_t session_type);

// The order of kat_client_list_tokens: "+createdAt", "-createdAt", "+updatedAt" or "-updatedAt". NULL: unset,
// which means none in particular.
kat_status kat_list_params_set_order_by(kat_list_params *params, const char *order);

// Parameters with nothing set; the token must be, with kat_session_params_set_token.
kat_session_params *kat_session_params_new(void);

// Frees parameters. NULL does nothing.
void kat_session_params_free(kat_session_params *params);

// The token to exchange: its id and its value. Neither may be NULL.
kat_status kat_session_params_set_token(kat_session_params *params, const char *id, const char *value);

// The token's hash type. NULL: unset, which means SHA256.
kat_status kat_session_params_set_hash_type(kat_session_params *params, const char *hash_type);

// The session's user; a user id on the token wins. NULL: unset.
kat_status kat_session_params_set_user_id(kat_session_params *params, const char *user_id);

// The session's type, a kat_session_type; a type on the token wins. KAT_ABSENT: unset.
kat_status kat_session_params_set_session_type(kat_session_params *params, int64_t session_type);

// How long the session is to live, in seconds; capped by the token. (The API calls it expiry.) KAT_ABSENT:
// unset.
kat_status kat_session_params_set_duration(kat_session_params *params, int64_t duration);

// Privileges in addition to the token's; see kat_session_dropped_privilege. NULL: unset.
kat_status kat_session_params_set_privileges(kat_session_params *params, const char *privileges);

// A profile given with the request (KalturaDetachedResponseProfile): which says a kat_profile_fields, and
// fields names them as the API does, separated by commas, such as "id,token".
KAT_MUST_USE
kat_status kat_response_profile_new(int32_t which,
                                    const char *fields,
                                    kat_response_profile **out,
                                    kat_error **err);

// A named profile given with the request (KalturaResponseProfile).
KAT_MUST_USE
kat_status kat_response_profile_new_named(const char *name,
                                          const char *system_name,
                                          int32_t which,
                                          const char *fields,
                                          kat_response_profile **out,
                                          kat_error **err);

// A profile stored on the server (KalturaResponseProfileHolder), by its id.
KAT_MUST_USE kat_status kat_response_profile_by_id(int64_t id, kat_response_profile **out, kat_error **err);

// A profile stored on the server (KalturaResponseProfileHolder), by its system name.
KAT_MUST_USE
kat_status kat_response_profile_by_system_name(const char *system_name,
                                               kat_response_profile **out,
                                               kat_error **err);

// Frees a profile; parameters that it was set on keep their copy. NULL does nothing.
void kat_response_profile_free(kat_response_profile *profile);

// No privilege at all.
kat_privileges *kat_privileges_new(void);

// Reads a privilege string the way the server does: nothing is trimmed and nothing refused. See
// kat_privileges_lint.
KAT_MUST_USE kat_status kat_privileges_parse(const char *text, kat_privileges **out, kat_error **err);

// The guide's set for read-only playback with entitlements in this privacy context.
KAT_MUST_USE
kat_status kat_privileges_read_only_playback(const char *privacy_context,
                                             kat_privileges **out,
                                             kat_error **err);

// The guide's set for an upload integration.
kat_privileges *kat_privileges_upload(void);

// The guide's set for a ticket to play one entry: ten calls in the playback role.
KAT_MUST_USE
kat_status kat_privileges_single_entry_playback(const char *entry_id,
                                                kat_privileges **out,
                                                kat_error **err);

// The guide's set for an integration that shows in analytics under this app id.
KAT_MUST_USE
kat_status kat_privileges_analytics_tagged(const char *app_id,
                                           kat_privileges **out,
                                           kat_error **err);

// Adds a value to the privilege of that name.
//
// KAT_STATUS_INVALID_ARG when the name is empty or starts with _, the value is empty, or either holds a
// character that would change the meaning of the string; the set is then as it was.
KAT_MUST_USE
kat_status kat_privileges_add(kat_privileges *privileges,
                              const char *name,
                              const char *value,
                              kat_error **err);

// Adds a privilege without a value, such as "enableentitlement". Refuses as kat_privileges_add does.
KAT_MUST_USE
kat_status kat_privileges_add_flag(kat_privileges *privileges,
                                   const char *name,
                                   kat_error **err);

// Takes a privilege away, whatever its values; one that is not there is no failure.
KAT_MUST_USE kat_status kat_privileges_remove(kat_privileges *privileges, const char *name, kat_error **err);

// The string, such as "sview:*,edit:1_a/1_b". Borrowed.
const char *kat_privileges_text(const kat_privileges *privileges);

// How many privileges there are.
size_t kat_privileges_len(const kat_privileges *privileges);

// The name of one, from 0; NULL beyond the last. Borrowed.
const char *kat_privileges_name(const kat_privileges *privileges, size_t index);

// How many values it has; 0 for a flag, and beyond the last.
size_t kat_privileges_value_count(const kat_privileges *privileges, size_t index);

// One of its values, from 0; NULL beyond the last. Borrowed.
const char *kat_privileges_value(const kat_privileges *privileges, size_t index, size_t value);

// Frees it. NULL does nothing.
void kat_privileges_free(kat_privileges *privileges);

// Explains what will not work when used for this, a kat_privilege_use. No finding is an empty list.
KAT_MUST_USE
kat_status kat_privileges_lint(const kat_privileges *privileges,
                               int32_t used_for,
                               kat_lint_list **out,
                               kat_error **err);

// How many findings there are.
size_t kat_lint_list_len(const kat_lint_list *lints);

// The short stable name of a finding's rule, such as "flag-with-value", from 0; NULL beyond the last.
// Borrowed.
const char *kat_lint_list_rule(const kat_lint_list *lints, size_t index);

// The privilege that it is about, as it stands in the string; NULL beyond the last. Borrowed.
const char *kat_lint_list_privilege(const kat_lint_list *lints, size_t index);

// What happens and what to write instead; NULL beyond the last. Borrowed.
const char *kat_lint_list_message(const kat_lint_list *lints, size_t index);

// Frees it. NULL does nothing.
void kat_lint_list_free(kat_lint_list *lints);

// This token, for good.
KAT_MUST_USE
kat_status kat_token_source_value(const char *id,
                                  const char *value,
                                  kat_token_source **out,
                                  kat_error **err);

// KALTURA_APP_TOKEN_ID and KALTURA_APP_TOKEN. They are read whenever a session is started, on any thread that
// waits for it or on a queue's: the program must not change its environment meanwhile.
KAT_MUST_USE kat_status kat_token_source_environment(kat_token_source **out, kat_error **err);

// A token with this id, whose value is in the environment variable called name. Read as by
// kat_token_source_environment; an empty variable is unset.
KAT_MUST_USE
kat_status kat_token_source_variable(const char *id,
                                     const char *name,
                                     kat_token_source **out,
                                     kat_error **err);

// A JSON file with "id", "token" and, if it is known, "hashType", which wins over the provider's. Read again
// for every session that is started.
KAT_MUST_USE kat_status kat_token_source_file(const char *path, kat_token_source **out, kat_error **err);

// A token with this id, whose value is all that is in the file, such as a mounted secret; a newline at its end
// is left out. Read again for every session that is started.
KAT_MUST_USE
kat_status kat_token_source_value_file(const char *id,
                                       const char *path,
                                       kat_token_source **out,
                                       kat_error **err);

// Frees a source; providers that were made with it go on. NULL does nothing.
void kat_token_source_free(kat_token_source *source);

// Parameters with nothing set.
kat_provider_params *kat_provider_params_new(void);

// Frees parameters. NULL does nothing.
void kat_provider_params_free(kat_provider_params *params);

// The token's hash type: one of KAT_HASH_SHA256 and the like. "auto" finds it out: SHA256 is tried first, another only
// after INVALID_APP_TOKEN_HASH, and the one that works is remembered; a wrong value of the token then costs
// four exchanges. NULL: unset, which means SHA256.
kat_status kat_provider_params_set_hash_type(kat_provider_params *params,
                                             const char *hash_type);

// How many sessions are kept at most, one for each key; 10,000 unless set, and 0 counts as 1. Those that were
// asked for longest ago go first.
kat_status kat_provider_params_set_capacity(kat_provider_params *params, size_t sessions);

// A key with nothing set: sessions as the token gives them.
kat_session_key *kat_session_key_new(void);

// Frees a key. NULL does nothing.
void kat_session_key_free(kat_session_key *key);

// The session's user; one of the token's own wins. NULL: unset.
kat_status kat_session_key_set_user_id(kat_session_key *key, const char *user_id);

// The session's type, a kat_session_type; one of the token's own wins. KAT_ABSENT: unset.
kat_status kat_session_key_set_session_type(kat_session_key *key, int64_t session_type);

// Privileges in addition to the token's, such as "sview:1_abc". NULL: unset.
kat_status kat_session_key_set_privileges(kat_session_key *key, const char *privileges);

// How long sessions are to live, in seconds; the token's own limit caps it. KAT_ABSENT: unset, which leaves it
// to the server.
kat_status kat_session_key_set_duration(kat_session_key *key,
                                        int64_t duration);

// For how many seconds the session that is handed out must still be good; when no session lives that long, a
// fresh one is handed out. Near to a session's whole life it starts one with almost every call.
// KAT_ABSENT: unset, which means that it is good now.
kat_status kat_session_key_set_min_remaining(kat_session_key *key, int64_t min_remaining);

// A provider of sessions of the source's token. params may be NULL. Asks neither the server nor the source yet.
// It keeps what it needs of client and source, which may be freed before it.
//
// KAT_STATUS_INVALID_ARG for what a setter of params refused.
KAT_MUST_USE
kat_status kat_provider_new(const kat_client *client,
                            const kat_token_source *source,
                            const kat_provider_params *params,
                            kat_provider **out,
                            kat_error **err);

// Wipes the sessions that are kept and frees a provider that no call uses any more. Calls that were submitted
// to a queue go on, and sessions that were handed out stay good. NULL does nothing.
void kat_provider_free(kat_provider *provider);

// A session that is good now, and for the key's min_remaining. key may be NULL: the session as the token gives
// it. Blocks only while a session has to be started for it.
//
// KAT_STATUS_INVALID_ARG when the source has no token.
//
// cancel may be NULL. It ends this call only: others that wait for the same session get it.
KAT_MUST_USE
kat_status kat_provider_get(const kat_provider *provider,
                            const kat_session_key *key,
                            const kat_cancel *cancel,
                            kat_session **out,
                            kat_error **err);

// Takes back a session of this provider that the API refused, for a reason that is a kat_ks_failure, and
// returns the one to try again with, once. The refused one is still the caller's to free.
//
// Another session is started only for KAT_KS_FAILURE_EXPIRED and _ACTIONS_LIMIT, and not again and again; for
// _LOGGED_OUT only if the source has another token by now. When somebody has replaced the session meanwhile,
// that replacement is returned.
//
// KAT_STATUS_API with "INVALID_KS" when another session would not help. KAT_STATUS_INVALID_ARG for a session
// that no provider handed out. Otherwise as kat_provider_get.
//
// cancel may be NULL.
KAT_MUST_USE
kat_status kat_provider_reject(const kat_provider *provider,
                               const kat_session *session,
                               int32_t reason,
                               const kat_cancel *cancel,
                               kat_session **out,
                               kat_error **err);

// A queue that accepts up to limit calls at a time; limit is at least 1.
//
// KAT_STATUS_INVALID_ARG when limit is 0 or the system gives no descriptor.
KAT_MUST_USE kat_status kat_queue_new(size_t limit, kat_queue **out, kat_error **err);

// Cancels what is in flight, without waiting for the network, and frees the queue and what was not collected.
// Whether a token that was being created exists is then unknown. NULL does nothing.
void kat_queue_free(kat_queue *queue);

// The descriptor to watch for reading: readable if and only if a completion waits. It is the queue's: never
// read from it and never close it. It is close-on-exec. -1 for NULL, in a child, and on Windows, where
// completions are waited for with kat_queue_next.
int32_t kat_queue_fd(const kat_queue *queue);

// How many calls are in flight, completed but not yet collected ones included.
size_t kat_queue_in_flight(const kat_queue *queue);

// Collects a completion, waiting for one at most timeout_ms: 0 does not wait, a negative number waits for as
// long as it takes. Of several threads that wait, each completion goes to one.
//
// KAT_STATUS_QUEUE_EMPTY when none came in that time.
KAT_MUST_USE
kat_status kat_queue_next(const kat_queue *queue,
                          int64_t timeout_ms,
                          kat_completion **out,
                          kat_error **err);

// Cancels a call. Its completion comes all the same, and soon: KAT_STATUS_CANCELLED unless the call was faster,
// or KAT_STATUS_OUTCOME_UNKNOWN when a token was being created. KAT_STATUS_OK also when it has completed already.
//
// KAT_STATUS_INVALID_ARG for a number that the queue never gave.
KAT_MUST_USE
kat_status kat_queue_cancel(const kat_queue *queue,
                            uint64_t operation,
                            kat_error **err);

// The number that the call was submitted with. 0 for NULL.
uint64_t kat_completion_tag(const kat_completion *completion);

// The number that its submission gave. 0 for NULL.
uint64_t kat_completion_operation(const kat_completion *completion);

// Which call it was: a kat_operation. 0 for NULL.
int32_t kat_completion_kind(const kat_completion *completion);

// What the blocking call would have returned. KAT_STATUS_NULL_ARG for NULL.
kat_status kat_completion_status(const kat_completion *completion);

// The token of an add, get or update.
//
// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
// completion is then as it was.
KAT_MUST_USE
kat_status kat_completion_take_token(kat_completion *completion,
                                     kat_token **out,
                                     kat_error **err);

// The page of a list.
//
// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
// completion is then as it was.
KAT_MUST_USE
kat_status kat_completion_take_list(kat_completion *completion,
                                    kat_token_list **out,
                                    kat_error **err);

// The session of a start, or of a provider's get or reject.
//
// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
// completion is then as it was.
KAT_MUST_USE
kat_status kat_completion_take_session(kat_completion *completion,
                                       kat_session **out,
                                       kat_error **err);

// What the server says of a session.
//
// KAT_STATUS_WRONG_TAKE when the completion holds no such result, or it was taken already; the
// completion is then as it was.
KAT_MUST_USE
kat_status kat_completion_take_session_info(kat_completion *completion,
                                            kat_session_info **out,
                                            kat_error **err);

// Why the call failed. KAT_STATUS_WRONG_TAKE, without an error object, when it did not, or when this was taken
// already.
kat_status kat_completion_take_error(kat_completion *completion,
                                     kat_error **out);

// Frees a completion with what was not taken. NULL does nothing.
void kat_completion_free(kat_completion *completion);

// Submits what kat_client_add_token does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_add_token_submit(const kat_client *client,
                                       const kat_token_params *params,
                                       const kat_queue *queue,
                                       uint64_t tag,
                                       uint64_t *operation,
                                       kat_error **err);

// Submits what kat_client_get_token does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_get_token_submit(const kat_client *client,
                                       const char *id,
                                       const kat_response_profile *profile,
                                       const kat_queue *queue,
                                       uint64_t tag,
                                       uint64_t *operation,
                                       kat_error **err);

// Submits what kat_client_update_token does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_update_token_submit(const kat_client *client,
                                          const char *id,
                                          const kat_token_params *params,
                                          const kat_queue *queue,
                                          uint64_t tag,
                                          uint64_t *operation,
                                          kat_error **err);

// Submits what kat_client_delete_token does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_delete_token_submit(const kat_client *client,
                                          const char *id,
                                          const kat_queue *queue,
                                          uint64_t tag,
                                          uint64_t *operation,
                                          kat_error **err);

// Submits what kat_client_list_tokens does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_list_tokens_submit(const kat_client *client,
                                         const kat_list_params *params,
                                         const kat_queue *queue,
                                         uint64_t tag,
                                         uint64_t *operation,
                                         kat_error **err);

// Submits what kat_client_start_session does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_start_session_submit(const kat_client *client,
                                           const kat_session_params *params,
                                           const kat_queue *queue,
                                           uint64_t tag,
                                           uint64_t *operation,
                                           kat_error **err);

// Submits what kat_client_start_widget_session does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_start_widget_session_submit(const kat_client *client,
                                                  const kat_queue *queue,
                                                  uint64_t tag,
                                                  uint64_t *operation,
                                                  kat_error **err);

// Submits what kat_client_start_admin_session does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_start_admin_session_submit(const kat_client *client,
                                                 const kat_queue *queue,
                                                 uint64_t tag,
                                                 uint64_t *operation,
                                                 kat_error **err);

// Submits what kat_client_session_info does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_session_info_submit(const kat_client *client,
                                          const char *ks,
                                          const kat_queue *queue,
                                          uint64_t tag,
                                          uint64_t *operation,
                                          kat_error **err);

// Submits what kat_client_end_session does. operation may be NULL.
KAT_MUST_USE
kat_status kat_client_end_session_submit(const kat_client *client,
                                         const char *ks,
                                         const kat_queue *queue,
                                         uint64_t tag,
                                         uint64_t *operation,
                                         kat_error **err);

// Submits what kat_provider_get does. operation may be NULL. However many wait for one session, it is started
// once; kat_queue_cancel cancels the one call and none of the others.
KAT_MUST_USE
kat_status kat_provider_get_submit(const kat_provider *provider,
                                   const kat_session_key *key,
                                   const kat_queue *queue,
                                   uint64_t tag,
                                   uint64_t *operation,
                                   kat_error **err);

// Submits what kat_provider_reject does. operation may be NULL.
KAT_MUST_USE
kat_status kat_provider_reject_submit(const kat_provider *provider,
                                      const kat_session *session,
                                      int32_t reason,
                                      const kat_queue *queue,
                                      uint64_t tag,
                                      uint64_t *operation,
                                      kat_error **err);

// The session itself, for the ks parameter of API calls. A secret. Borrowed.
const char *kat_session_ks(const kat_session *session);

// Its type: a kat_session_type, another number, or KAT_ABSENT where the server does not say.
int64_t kat_session_session_type(const kat_session *session);

// Its account, or KAT_ABSENT.
int64_t kat_session_partner_id(const kat_session *session);

// Its user, or NULL. Borrowed.
const char *kat_session_user_id(const kat_session *session);

// When it expires by the server's clock, or KAT_ABSENT.
int64_t kat_session_expiry_unix(const kat_session *session);

// Its effective privileges, or NULL. Borrowed.
const char *kat_session_privileges(const kat_session *session);

// How many of the privileges that were asked for the server did not grant. 0 also when it does not say.
size_t kat_session_dropped_privilege_count(const kat_session *session);

// One of them, from 0, such as "edit:1_a"; NULL beyond the last. Borrowed.
const char *kat_session_dropped_privilege(const kat_session *session, size_t index);

// Wipes and frees a session here; on the server it lives on: see kat_client_end_session. NULL does nothing.
void kat_session_free(kat_session *session);

// The session's type: a kat_session_type, another number, or KAT_ABSENT.
int64_t kat_session_info_session_type(const kat_session_info *info);

// The session's account, or KAT_ABSENT.
int64_t kat_session_info_partner_id(const kat_session_info *info);

// The session's user, empty for the anonymous one, or NULL. Borrowed.
const char *kat_session_info_user_id(const kat_session_info *info);

// When the session expires, or KAT_ABSENT.
int64_t kat_session_info_expiry_unix(const kat_session_info *info);

// The session's privileges, or NULL. Borrowed.
const char *kat_session_info_privileges(const kat_session_info *info);

// Frees it. NULL does nothing.
void kat_session_info_free(kat_session_info *info);

// The text: UTF-8 with a NUL at its end, valid until kat_string_free. NULL for NULL.
const char *kat_string_text(const kat_string *string);

// Wipes and frees a string. NULL does nothing.
void kat_string_free(kat_string *string);

// The id, such as "1_ab12cd34"; empty only when a response profile left it out. Borrowed.
const char *kat_token_id(const kat_token *token);

// The value, which is exchanged for sessions; NULL in lists without secrets. A secret. Borrowed.
const char *kat_token_value(const kat_token *token);

// The account it belongs to, or KAT_ABSENT.
int64_t kat_token_partner_id(const kat_token *token);

// Whether it can be exchanged: a kat_app_token_status, another number, or KAT_ABSENT.
int64_t kat_token_status(const kat_token *token);

// The type of its sessions: a kat_session_type, another number, or KAT_ABSENT, which means that whoever
// exchanges it chooses, ADMIN included.
int64_t kat_token_session_type(const kat_token *token);

// The longest life of its sessions in seconds, or KAT_ABSENT.
int64_t kat_token_session_duration(const kat_token *token);

// The privileges of its sessions, or NULL. Borrowed.
const char *kat_token_session_privileges(const kat_token *token);

// The user of its sessions, or NULL, which means that whoever exchanges it chooses. Borrowed.
const char *kat_token_session_user_id(const kat_token *token);

// The hash type, such as KAT_HASH_SHA256, or NULL. Borrowed.
const char *kat_token_hash_type(const kat_token *token);

// A note for people, or NULL. Borrowed.
const char *kat_token_description(const kat_token *token);

// When it stops working; KAT_ABSENT: never. 0 is ambiguous: never on some servers, long expired on
// others.
int64_t kat_token_expiry_unix(const kat_token *token);

// When it was created, or KAT_ABSENT.
int64_t kat_token_created_at_unix(const kat_token *token);

// When it was last changed, or KAT_ABSENT.
int64_t kat_token_updated_at_unix(const kat_token *token);

// Wipes and frees a token, but not one of a list. NULL does nothing.
void kat_token_free(kat_token *token);

// How many tokens the page holds.
size_t kat_token_list_len(const kat_token_list *list);

// One of them, from 0; NULL beyond the last. Borrowed from the list: do not free it.
const kat_token *kat_token_list_get(const kat_token_list *list, size_t index);

// How many tokens the server counts over all pages. KAT_ABSENT for NULL.
int64_t kat_token_list_total_count(const kat_token_list *list);

// Frees a page with its tokens. NULL does nothing.
void kat_token_list_free(kat_token_list *list);

// The next token. Every token that exists from the start of the walk to its end comes exactly once,
// whatever is created or deleted meanwhile, oldest first.
//
// cancel may be NULL. KAT_STATUS_END after the last; KAT_STATUS_FORKED in a child. After any other failure
// the walk can go on from where it was. A cancel is noticed within about 50 ms.
KAT_MUST_USE
kat_status kat_token_iter_next(kat_token_iter *iter,
                               const kat_cancel *cancel,
                               kat_token **out,
                               kat_error **err);

// Ends a walk. NULL does nothing.
void kat_token_iter_free(kat_token_iter *iter);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* KALTURA_APP_TOKEN_H */
