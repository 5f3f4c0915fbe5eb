/* Every call of a client, once through, and every accessor of what comes back. */
#include "support.h"

static void versions(void) {
    CHECK_TEXT(KAT_VERSION, kat_version());
    CHECK(kat_version_number() == KAT_VERSION_NUMBER);
    CHECK_TEXT("API", kat_status_name(KAT_STATUS_API));
    CHECK_TEXT("UNKNOWN", kat_status_name(99));
    CHECK_TEXT("UNKNOWN", kat_status_name(-1));
}

static void token_from_birth_to_death(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    const int64_t expiry = (int64_t)time(NULL) + 86400;

    kat_token_params *params = kat_token_params_new();
    kat_token_params_set_description(params, "n\303\244chtlich");
    kat_token_params_set_hash_type(params, KAT_HASH_SHA512);
    kat_token_params_set_session_type(params, KAT_SESSION_TYPE_ADMIN);
    kat_token_params_set_session_duration(params, 600);
    kat_token_params_set_session_privileges(params, "sview:*");
    kat_token_params_set_session_user_id(params, "");
    kat_token_params_set_expiry_unix(params, expiry);
    CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
    kat_token_params_free(params);
    CHECK_TEXT("n\303\244chtlich", kat_token_description(token));
    CHECK_TEXT(KAT_HASH_SHA512, kat_token_hash_type(token));
    CHECK_TEXT("sview:*", kat_token_session_privileges(token));
    CHECK(kat_token_session_user_id(token) != NULL);
    CHECK(strlen(kat_token_value(token)) == 32);
    CHECK(kat_token_partner_id(token) == PARTNER_ID);
    CHECK(kat_token_status(token) == KAT_APP_TOKEN_STATUS_ACTIVE);
    CHECK(kat_token_session_type(token) == KAT_SESSION_TYPE_ADMIN);
    CHECK(kat_token_session_duration(token) == 600);
    CHECK(kat_token_expiry_unix(token) == expiry);
    CHECK(kat_token_created_at_unix(token) > expiry - 2 * 86400);
    CHECK(kat_token_updated_at_unix(token) >= kat_token_created_at_unix(token));

    char id[64];
    snprintf(id, sizeof id, "%s", kat_token_id(token));
    kat_token_free(token);

    /* Cleared is not empty, and what is not named stays. */
    params = kat_token_params_new();
    kat_token_params_set_description(params, "");
    kat_token_params_clear(params, KAT_TOKEN_FIELD_EXPIRY);
    kat_token_params_clear(params, KAT_TOKEN_FIELD_SESSION_USER_ID);
    CHECK_OK(kat_client_update_token(client, id, params, NULL, &token, &error));
    CHECK_TEXT("", kat_token_description(token));
    CHECK(kat_token_expiry_unix(token) == KAT_ABSENT);
    CHECK(kat_token_session_user_id(token) == NULL);
    CHECK_TEXT("sview:*", kat_token_session_privileges(token));
    kat_token_free(token);
    kat_token_params_free(params);

    kat_response_profile *profile = NULL;
    CHECK_OK(kat_response_profile_new(KAT_PROFILE_FIELDS_INCLUDE, "id, status", &profile, &error));
    CHECK_OK(kat_client_get_token(client, id, profile, NULL, &token, &error));
    kat_response_profile_free(profile);
    CHECK_TEXT(id, kat_token_id(token));
    CHECK(kat_token_value(token) == NULL && kat_token_partner_id(token) == KAT_ABSENT);
    kat_token_free(token);

    CHECK_OK(kat_client_delete_token(client, id, NULL, &error));
    kat_token *untouched = token = (kat_token *)&id;
    CHECK(kat_client_get_token(client, id, NULL, NULL, &token, &error) == KAT_STATUS_API);
    CHECK(token == untouched);
    CHECK_TEXT("APP_TOKEN_ID_NOT_FOUND", kat_error_api_code(error));
    CHECK_TEXT("appToken.get", kat_error_request(error));
    CHECK(kat_error_hint(error) != NULL && strstr(kat_error_message(error), id) != NULL);
    CHECK(kat_error_attempts(error) == 1 && kat_error_http_status(error) == 0 && !kat_error_retryable(error));
    CHECK(kat_error_candidate_count(error) == 0 && kat_error_candidate_id(error, 0) == NULL);
    kat_error_free(error);
}

static void a_new_token_leaves_nothing_open_unless_told_to(const kat_client *client) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    kat_token_params *params = kat_token_params_new();
    CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
    CHECK(kat_token_session_type(token) == KAT_SESSION_TYPE_USER);
    CHECK_TEXT(KAT_HASH_SHA256, kat_token_hash_type(token));
    kat_token_free(token);
    kat_token_params_clear(params, KAT_TOKEN_FIELD_SESSION_TYPE);
    kat_token_params_clear(params, KAT_TOKEN_FIELD_HASH_TYPE);
    CHECK_OK(kat_client_add_token(client, params, NULL, &token, &error));
    CHECK(kat_token_session_type(token) == KAT_ABSENT);
    kat_token_free(token);
    kat_token_params_free(params);
}

static void lists_and_walks(const kat_client *client) {
    kat_error *error = NULL;
    char rows[64 * 1024];
    size_t used = (size_t)sprintf(rows, "[");
    for (int i = 0; i < 1203; i++)
        used += (size_t)sprintf(rows + used, "%s{\"createdAt\":%d}", i ? "," : "", 1700000000 + i / 700);
    sprintf(rows + used, "]");
    sandbox_control("DELETE", "partners/102/tokens", "", NULL, 0);
    sandbox_control("POST", "partners/102/tokens", rows, NULL, 0);

    kat_list_params *params = kat_list_params_new();
    kat_list_params_set_page_size(params, 10);
    kat_list_params_set_page_index(params, 2);
    kat_list_params_set_order_by(params, "-createdAt");
    kat_token_list *list = NULL;
    CHECK_OK(kat_client_list_tokens(client, params, NULL, &list, &error));
    CHECK(kat_token_list_len(list) == 10 && kat_token_list_total_count(list) == 1203);
    CHECK(kat_token_list_get(list, 10) == NULL);
    CHECK(kat_token_created_at_unix(kat_token_list_get(list, 9)) == 1700000001);
    CHECK(kat_token_value(kat_token_list_get(list, 0)) == NULL);
    kat_token_list_free(list);
    kat_list_params_free(params);

    params = kat_list_params_new();
    kat_list_params_set_with_secrets(params, true);
    kat_list_params_set_created_at_less_than_or_equal_unix(params, 1700000000);
    CHECK_OK(kat_client_list_tokens(client, params, NULL, &list, &error));
    CHECK(kat_token_list_len(list) == 500 && kat_token_list_total_count(list) == 700);
    CHECK(kat_token_value(kat_token_list_get(list, 0)) != NULL);
    kat_list_params_add_id_in(params, kat_token_id(kat_token_list_get(list, 0)));
    kat_list_params_add_id_in(params, kat_token_id(kat_token_list_get(list, 1)));
    kat_token_list_free(list);
    CHECK_OK(kat_client_list_tokens(client, params, NULL, &list, &error));
    CHECK(kat_token_list_len(list) == 2);
    kat_token_list_free(list);
    kat_list_params_free(params);

    kat_token_iter *walk = NULL;
    kat_token *token = NULL;
    kat_status status;
    size_t seen = 0;
    CHECK_OK(kat_client_tokens(client, NULL, &walk, &error));
    for (; (status = kat_token_iter_next(walk, NULL, &token, &error)) == KAT_STATUS_OK; seen++)
        kat_token_free(token);
    CHECK_STATUS(KAT_STATUS_END, status);
    CHECK(seen == 1203);
    kat_token_iter_free(walk);

    /* A walk outlives its client, and may end early. */
    kat_client *other = test_client(ADMIN_SECRET);
    CHECK_OK(kat_client_tokens(other, NULL, &walk, &error));
    kat_client_free(other);
    CHECK_OK(kat_token_iter_next(walk, NULL, &token, &error));
    kat_token_free(token);
    kat_token_iter_free(walk);
    sandbox_control("DELETE", "partners/102/tokens", "", NULL, 0);
}

static void sessions(const kat_client *admin) {
    kat_error *error = NULL;
    kat_client *integrator = test_client(NULL);
    kat_token *token = test_token(admin);
    kat_session_params *params = exchange_of(token);
    kat_session_params_set_duration(params, 60);
    kat_session_params_set_privileges(params, "edit:1_a,appId:x");

    kat_session *session = NULL;
    CHECK_OK(kat_client_start_session(integrator, params, NULL, &session, &error));
    CHECK(strlen(kat_session_ks(session)) > 40);
    CHECK_TEXT("alice", kat_session_user_id(session));
    CHECK(kat_session_session_type(session) == KAT_SESSION_TYPE_USER);
    CHECK(kat_session_partner_id(session) == PARTNER_ID);
    CHECK(llabs((long long)(kat_session_expiry_unix(session) - (int64_t)time(NULL) - 60)) <= 5);
    CHECK(strstr(kat_session_privileges(session), "sview:*") != NULL);
    CHECK(kat_session_dropped_privilege_count(session) == 1);
    CHECK_TEXT("edit:1_a", kat_session_dropped_privilege(session, 0));
    CHECK(kat_session_dropped_privilege(session, 1) == NULL);
    CHECK(kat_client_clock_difference(integrator) != KAT_ABSENT);

    kat_session_info *info = NULL;
    CHECK_OK(kat_client_session_info(admin, kat_session_ks(session), NULL, &info, &error));
    CHECK_TEXT("alice", kat_session_info_user_id(info));
    CHECK(kat_session_info_session_type(info) == KAT_SESSION_TYPE_USER);
    CHECK(kat_session_info_partner_id(info) == PARTNER_ID);
    CHECK(kat_session_info_expiry_unix(info) == kat_session_expiry_unix(session));
    CHECK(strstr(kat_session_info_privileges(info), "list:*") != NULL);
    kat_session_info_free(info);

    CHECK_OK(kat_client_end_session(integrator, kat_session_ks(session), NULL, &error));
    CHECK_STATUS(KAT_STATUS_API, kat_client_end_session(integrator, kat_session_ks(session), NULL, &error));
    kat_session_free(session);

    kat_session_params_set_token(params, kat_token_id(token), "wrong");
    CHECK(kat_client_start_session(integrator, params, NULL, &session, &error) == KAT_STATUS_API);
    CHECK_TEXT("INVALID_APP_TOKEN_HASH", kat_error_api_code(error));
    CHECK(strstr(kat_error_hint(error), "hash type") != NULL);
    kat_error_free(error);
    error = NULL;
    kat_session_params_free(params);
    kat_token_free(token);

    CHECK_OK(kat_client_start_widget_session(integrator, NULL, &session, &error));
    CHECK(kat_session_expiry_unix(session) == KAT_ABSENT && kat_session_user_id(session) == NULL);
    kat_session_free(session);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_start_admin_session(integrator, NULL, &session, &error));
    kat_client_free(integrator);

    CHECK_OK(kat_client_start_admin_session(admin, NULL, &session, &error));
    CHECK(kat_session_session_type(session) == KAT_SESSION_TYPE_ADMIN);
    kat_session_free(session);
    for (int version = 1; version <= 2; version++) {
        CHECK_OK(kat_client_sign_admin_session(admin, version, &session, &error));
        CHECK_OK(kat_client_session_info(admin, kat_session_ks(session), NULL, &info, &error));
        CHECK(kat_session_info_session_type(info) == KAT_SESSION_TYPE_ADMIN);
        kat_session_info_free(info);
        kat_session_free(session);
    }
    CHECK_OK(kat_client_session_info(admin, NULL, NULL, &info, &error));
    kat_session_info_free(info);
}

int main(void) {
    versions();
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    CHECK_TEXT(sandbox_url(), kat_client_service_url(client));
    CHECK(kat_client_partner_id(client) == PARTNER_ID);
    CHECK(kat_client_clock_difference(client) == KAT_ABSENT);
    token_from_birth_to_death(client);
    a_new_token_leaves_nothing_open_unless_told_to(client);
    lists_and_walks(client);
    sessions(client);
    kat_client_free(client);
    return 0;
}
