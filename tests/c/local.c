/* What needs no server: configuration, session strings, hashes, privileges, and arguments that cannot be. */
#include <sys/stat.h>

#include "support.h"

static const struct {
    const char *hash_type, *expected;
} HASHES[] = {
    {KAT_HASH_MD5, "4a464f122812a052b388aee4403bb531"},
    {"md5", "4a464f122812a052b388aee4403bb531"},
};

static void hashes(void) {
    kat_error *error = NULL;
    char buffer[KAT_HASH_SIZE];
    size_t written = 0;
    for (size_t i = 0; i < sizeof HASHES / sizeof *HASHES; i++) {
        CHECK_OK(kat_token_hash(HASHES[i].hash_type, "widget-ks", "token-value", buffer, sizeof buffer, &written,
                                &error));
        CHECK_TEXT(HASHES[i].expected, buffer);
        CHECK(written == strlen(buffer));
    }
    static const struct {
        const char *hash_type;
        size_t length;
    } lengths[] = {{KAT_HASH_SHA1, 40}, {KAT_HASH_SHA256, 64}, {KAT_HASH_SHA512, KAT_HASH_SIZE - 1}};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        size_t length = lengths[i].length;
        CHECK_OK(kat_token_hash(lengths[i].hash_type, "k", "t", buffer, length + 1, NULL, &error));
        CHECK(strlen(buffer) == length);
        memset(buffer, 'x', sizeof buffer);
        CHECK_STATUS(KAT_STATUS_INVALID_ARG,
                     kat_token_hash(lengths[i].hash_type, "k", "t", buffer, length, &written, &error));
        CHECK(buffer[0] == 'x');
    }
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_token_hash("SHA3", "k", "t", buffer, sizeof buffer, NULL, &error));
}

static void session_strings(void) {
    kat_error *error = NULL;
    kat_string *ks = NULL;
    kat_ks_info *info = NULL;
    kat_ks_params *params = kat_ks_params_new();
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_ks_sign(params, "secret", 2, &ks, &error));
    kat_ks_params_set_partner_id(params, 102);
    kat_ks_params_set_user_id(params, "bob");
    kat_ks_params_set_session_type(params, KAT_SESSION_TYPE_ADMIN);
    kat_ks_params_set_expiry_unix(params, 2000000000);
    kat_ks_params_set_privileges(params, "edit:*,list:*");
    kat_ks_params_set_master_partner_id(params, 7);
    kat_ks_params_set_additional_data(params, "data");
    for (int version = 1; version <= 2; version++) {
        CHECK_OK(kat_ks_sign(params, ADMIN_SECRET, version, &ks, &error));
        CHECK_OK(kat_ks_open(kat_string_text(ks), ADMIN_SECRET, &info, &error));
        CHECK(kat_ks_info_version(info) == version && kat_ks_info_verified(info));
        CHECK(kat_ks_info_partner_id(info) == 102 && kat_ks_info_master_partner_id(info) == 7);
        CHECK(kat_ks_info_session_type(info) == KAT_SESSION_TYPE_ADMIN);
        CHECK(kat_ks_info_expiry_unix(info) == 2000000000);
        CHECK_TEXT("bob", kat_ks_info_user_id(info));
        CHECK_TEXT("edit:*,list:*", kat_ks_info_privileges(info));
        CHECK_TEXT("data", kat_ks_info_additional_data(info));
        CHECK(kat_ks_info_random(info) != NULL);
        kat_ks_info_free(info);
        CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_ks_open(kat_string_text(ks), "another", &info, &error));
        CHECK_OK(kat_ks_describe(kat_string_text(ks), &info, &error));
        CHECK(!kat_ks_info_verified(info) && kat_ks_info_partner_id(info) == 102);
        CHECK(version == 1 || kat_ks_info_privileges(info) == NULL);
        kat_ks_info_free(info);
        kat_string_free(ks);
    }
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_ks_sign(params, ADMIN_SECRET, 3, &ks, &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_ks_describe("nonsense", &info, &error));
    kat_ks_params_free(params);
}

static void privileges(void) {
    kat_error *error = NULL;
    kat_privileges *set = kat_privileges_new(), *other = NULL;
    kat_lint_list *lints = NULL;
    CHECK_TEXT("", kat_privileges_text(set));
    CHECK_OK(kat_privileges_add(set, "sview", "*", &error));
    CHECK_OK(kat_privileges_add(set, "edit", "1_a", &error));
    CHECK_OK(kat_privileges_add(set, "edit", "1_b", &error));
    CHECK_OK(kat_privileges_add_flag(set, "enableentitlement", &error));
    CHECK_TEXT("sview:*,edit:1_a/1_b,enableentitlement", kat_privileges_text(set));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_privileges_add(set, "edit", "1_c,list:*", &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_privileges_add_flag(set, "_t", &error));
    CHECK(kat_privileges_len(set) == 3 && kat_privileges_value_count(set, 1) == 2);
    CHECK_TEXT("edit", kat_privileges_name(set, 1));
    CHECK_TEXT("1_b", kat_privileges_value(set, 1, 1));
    CHECK(kat_privileges_name(set, 3) == NULL && kat_privileges_value(set, 1, 2) == NULL);
    CHECK(kat_privileges_value_count(set, 3) == 0 && kat_privileges_value(set, 3, 0) == NULL);
    CHECK_OK(kat_privileges_remove(set, "edit", &error));
    CHECK_TEXT("sview:*,enableentitlement", kat_privileges_text(set));
    CHECK_OK(kat_privileges_lint(set, KAT_PRIVILEGE_USE_TOKEN, &lints, &error));
    CHECK(kat_lint_list_len(lints) == 0 && kat_lint_list_rule(lints, 0) == NULL);
    kat_lint_list_free(lints);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_privileges_lint(set, 7, &lints, &error));
    kat_privileges_free(set);

    CHECK_OK(kat_privileges_parse("enableentitlement:True,iprestrict:10.0.0.0/8", &other, &error));
    CHECK_OK(kat_privileges_lint(other, KAT_PRIVILEGE_USE_TOKEN, &lints, &error));
    CHECK(kat_lint_list_len(lints) == 2);
    CHECK_TEXT("flag-with-value", kat_lint_list_rule(lints, 0));
    CHECK_TEXT("iprestrict:10.0.0.0/8", kat_lint_list_privilege(lints, 1));
    CHECK(strstr(kat_lint_list_message(lints, 1), "ranges") != NULL);
    kat_lint_list_free(lints);
    kat_privileges_free(other);

    CHECK_OK(kat_privileges_read_only_playback("PORTAL", &other, &error));
    CHECK_TEXT("sview:*,enableentitlement,privacycontext:PORTAL", kat_privileges_text(other));
    kat_privileges_free(other);
    CHECK_OK(kat_privileges_single_entry_playback("1_a", &other, &error));
    CHECK_TEXT("sview:1_a,setrole:PLAYBACK_BASE_ROLE,actionslimit:10", kat_privileges_text(other));
    kat_privileges_free(other);
    CHECK_OK(kat_privileges_analytics_tagged("app", &other, &error));
    CHECK_TEXT("sview:*,list:*,appId:app", kat_privileges_text(other));
    kat_privileges_free(other);
    other = kat_privileges_upload();
    CHECK_TEXT("edit:*,sview:*", kat_privileges_text(other));
    kat_privileges_free(other);
}

static void configuration_from_the_environment(void) {
    kat_error *error = NULL;
    kat_config *config = NULL;
    kat_client *client = NULL;
    setenv("KALTURA_PARTNER_ID", "321", 1);
    setenv("KALTURA_SERVICE_URL", "eu", 1);
    setenv("KALTURA_APP_TOKEN_ID", "1_abc", 1);
    setenv("KALTURA_APP_TOKEN", "value", 1);
    CHECK_OK(kat_config_from_env(&config, &error));
    CHECK_TEXT("1_abc", kat_config_token_id(config));
    CHECK_TEXT("value", kat_config_token_value(config));
    kat_config_set_ca_file(config, getenv("KAT_TEST_CA_FILE"));
    CHECK_OK(kat_client_new(config, &client, &error));
    CHECK(kat_client_partner_id(client) == 321);
    CHECK_TEXT("https://api.eu.kaltura.com/api_v3", kat_client_service_url(client));
    kat_client_free(client);
    /* A service URL that is set by hand is for the account that was read. */
    kat_config_set_service_url(config, "https://video.example.com");
    CHECK_OK(kat_client_new(config, &client, &error));
    CHECK(kat_client_partner_id(client) == 321);
    CHECK_TEXT("https://video.example.com/api_v3", kat_client_service_url(client));
    kat_client_free(client);
    /* Another account is not mixed with it. */
    kat_config_set_partner_id(config, 7);
    CHECK(kat_client_new(config, &client, &error) == KAT_STATUS_INVALID_ARG);
    CHECK(strstr(kat_error_message(error), "the environment") != NULL);
    kat_error_free(error);
    error = NULL;
    kat_config_free(config);
    setenv("KALTURA_PARTNER_ID", "many", 1);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_config_from_env(&config, &error));
    unsetenv("KALTURA_PARTNER_ID");
    /* Without being asked, nothing is read from there. */
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    config = kat_config_new();
    CHECK(kat_config_token_id(config) == NULL && kat_config_token_value(config) == NULL);
    CHECK_OK(kat_client_new(config, &client, &error));
    CHECK(kat_client_partner_id(client) == KAT_ABSENT);
    kat_client_free(client);
    kat_config_free(config);
    unsetenv("http_proxy");
}

static void configuration_from_a_file(void) {
    kat_error *error = NULL;
    kat_config *config = NULL;
    kat_client *client = NULL;
    char path[] = "/tmp/kat-config-XXXXXX";
    int file = mkstemp(path);
    CHECK(file >= 0);
    CHECK(dprintf(file, "{\"PARTNER_ID\": \"77\", \"ADMIN_SECRET\": \"s3cr3t-value\", \"KALTURA_SERVICE_URL\": "
                        "\"http://127.0.0.1:9\"}") > 0);
    fchmod(file, 0644);
    CHECK_OK(kat_config_from_file(path, &config, &error));
    CHECK(kat_config_warning_count(config) == 1 && strstr(kat_config_warning(config, 0), "chmod 600") != NULL);
    CHECK(kat_config_warning(config, 1) == NULL);
    CHECK_OK(kat_client_new(config, &client, &error));
    CHECK(kat_client_partner_id(client) == 77);
    kat_client_free(client);
    kat_config_free(config);
    CHECK(ftruncate(file, 10) == 0);
    CHECK(kat_config_from_file(path, &config, &error) == KAT_STATUS_INVALID_ARG);
    CHECK(strstr(kat_error_message(error), path) != NULL && strstr(kat_error_message(error), "s3cr3t") == NULL);
    kat_error_free(error);
    error = NULL;
    close(file);
    unlink(path);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_config_from_file(path, &config, &error));
}

static void refused(const char *why, kat_status (*set)(kat_config *)) {
    kat_error *error = NULL;
    kat_client *client = NULL;
    kat_config *config = kat_config_new();
    kat_status status = set(config);
    CHECK(status == KAT_STATUS_INVALID_ARG || status == KAT_STATUS_OK);
    CHECK(kat_client_new(config, &client, &error) == KAT_STATUS_INVALID_ARG);
    if (strstr(kat_error_message(error), why) == NULL) {
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", kat_error_message(error), why);
        _Exit(1);
    }
    kat_error_free(error);
    kat_config_free(config);
}

static kat_status plain_http(kat_config *c) { return kat_config_set_service_url(c, "http://video.example.com"); }
static kat_status no_url(kat_config *c) { return kat_config_set_service_url(c, "https://u:p@example.com"); }
static kat_status partner_zero(kat_config *c) { return kat_config_set_partner_id(c, 0); }
static kat_status timeout_zero(kat_config *c) { return kat_config_set_total_timeout_ms(c, 0); }
static kat_status timeout_negative(kat_config *c) { return kat_config_set_total_timeout_ms(c, -5); }
static kat_status timeout_huge(kat_config *c) { return kat_config_set_connect_timeout_ms(c, INT64_MAX); }
static kat_status duration_zero(kat_config *c) { return kat_config_set_admin_session_duration(c, 0); }
static kat_status how_unknown(kat_config *c) { return kat_config_set_admin_session(c, 3); }
static kat_status not_utf8(kat_config *c) { return kat_config_set_user_id(c, "\377\376"); }
static kat_status ca_missing(kat_config *c) { return kat_config_set_ca_file(c, "/nonexistent.pem"); }

static void what_cannot_be_used_is_named(void) {
    static const struct {
        const char *why;
        kat_status (*set)(kat_config *);
    } cases[] = {
        {"in the clear", plain_http},  {"password", no_url},        {"partner id", partner_zero},
        {"total timeout", timeout_zero}, {"timeout_ms", timeout_negative}, {"timeout_ms", timeout_huge},
        {"expiry", duration_zero},    {"kat_admin_session", how_unknown}, {"user_id", not_utf8},
        {"/nonexistent.pem", ca_missing},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        refused(cases[i].why, cases[i].set);
}

/* An object remembers the first thing that a setter refused, for the call that uses it. */
static void setters_need_not_be_checked(void) {
    kat_error *error = NULL;
    kat_token *token = NULL;
    kat_session *session = NULL;
    kat_token_list *list = NULL;
    kat_client *client = NULL;
    kat_config *config = kat_config_new();
    kat_config_set_service_url(config, "http://127.0.0.1:1");
    kat_config_set_partner_id(config, 1);
    CHECK_OK(kat_client_new(config, &client, &error));
    kat_config_free(config);

    kat_token_params *params = kat_token_params_new();
    CHECK(kat_token_params_clear(params, 99) == KAT_STATUS_INVALID_ARG);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_add_token(client, params, NULL, &token, &error));
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_update_token(client, "1_a", params, NULL, &token, &error));
    kat_token_params_free(params);
    params = kat_token_params_new();
    kat_token_params_clear(params, KAT_TOKEN_FIELD_HASH_TYPE);
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_update_token(client, "1_a", params, NULL, &token, &error));
    kat_token_params_free(params);

    kat_session_params *exchange = kat_session_params_new();
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_start_session(client, exchange, NULL, &session, &error));
    CHECK(kat_session_params_set_duration(exchange, -1) == KAT_STATUS_INVALID_ARG);
    kat_session_params_set_token(exchange, "1_a", "value");
    CHECK(kat_client_start_session(client, exchange, NULL, &session, &error) == KAT_STATUS_INVALID_ARG);
    CHECK(strstr(kat_error_message(error), "duration") != NULL);
    kat_error_free(error);
    error = NULL;
    kat_session_params_free(exchange);

    kat_list_params *filter = kat_list_params_new();
    kat_list_params_set_order_by(filter, "createdAt");
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_client_list_tokens(client, filter, NULL, &list, &error));
    kat_list_params_free(filter);

    kat_response_profile *profile = NULL;
    CHECK_STATUS(KAT_STATUS_INVALID_ARG, kat_response_profile_new(3, "id", &profile, &error));
    kat_client_free(client);
}

int main(void) {
    hashes();
    session_strings();
    privileges();
    configuration_from_the_environment();
    configuration_from_a_file();
    what_cannot_be_used_is_named();
    setters_need_not_be_checked();
    return 0;
}
