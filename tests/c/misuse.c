/* Every exported function with NULL in each pointer position, with text that is none, with huge text, and with
 * numbers that cannot be. The calls themselves are generated from the header. */
#include "support.h"

static struct {
    kat_client *client;
    kat_queue *queue;
    kat_token_source *token_source;
    kat_provider *provider;
    kat_completion *completion;
    kat_error *error;
    kat_token *token;
    kat_token_list *token_list;
    kat_token_iter *token_iter;
    kat_session *session;
    kat_session_info *session_info;
    kat_ks_info *ks_info;
    kat_lint_list *lint_list;
    kat_response_profile *response_profile;
    kat_string *string;
} shared;
static char buffer[KAT_HASH_SIZE];
static char *huge;

static void expect(bool so, const char *function) {
    if (!so) {
        fprintf(stderr, "%s does not withstand it\n", function);
        _Exit(1);
    }
}

#include "misuse_cases.inc"

static void make_shared(void) {
    kat_error *error = NULL;
    kat_config *config = test_config(ADMIN_SECRET);
    kat_config_set_max_retries(config, 0);
    CHECK_OK(kat_client_new(config, &shared.client, &error));
    kat_config_free(config);
    shared.token = test_token(shared.client);
    CHECK_OK(kat_token_source_value(kat_token_id(shared.token), kat_token_value(shared.token), &shared.token_source,
                                    &error));
    CHECK_OK(kat_provider_new(shared.client, shared.token_source, NULL, &shared.provider, &error));
    CHECK_OK(kat_client_list_tokens(shared.client, NULL, NULL, &shared.token_list, &error));
    CHECK_OK(kat_client_tokens(shared.client, NULL, &shared.token_iter, &error));
    CHECK_OK(kat_client_start_widget_session(shared.client, NULL, &shared.session, &error));
    CHECK_OK(kat_client_session_info(shared.client, NULL, NULL, &shared.session_info, &error));
    CHECK_OK(kat_response_profile_by_id(1, &shared.response_profile, &error));
    kat_ks_params *params = kat_ks_params_new();
    kat_ks_params_set_partner_id(params, 1);
    kat_ks_params_set_expiry_unix(params, 2000000000);
    CHECK_OK(kat_ks_sign(params, "secret", 2, &shared.string, &error));
    CHECK_OK(kat_ks_open(kat_string_text(shared.string), "secret", &shared.ks_info, &error));
    kat_ks_params_free(params);
    kat_privileges *privileges = kat_privileges_upload();
    CHECK_OK(kat_privileges_lint(privileges, KAT_PRIVILEGE_USE_START_SESSION, &shared.lint_list, &error));
    kat_privileges_free(privileges);
    CHECK(kat_ks_describe("x", &shared.ks_info, &shared.error) == KAT_STATUS_INVALID_ARG);
    CHECK_OK(kat_queue_new(100000, &shared.queue, &error));
    CHECK_OK(kat_client_start_widget_session_submit(shared.client, shared.queue, 1, NULL, &error));
    CHECK_OK(kat_queue_next(shared.queue, 20000, &shared.completion, &error));
    huge = (char *)malloc(1 << 20);
    memset(huge, 'h', 1 << 20);
    huge[(1 << 20) - 1] = 0;
}

int main(void) {
    sandbox_reset();
    make_shared();
    misuse_everything();
    kat_queue_free(shared.queue);
    kat_provider_free(shared.provider);
    kat_token_source_free(shared.token_source);
    kat_completion_free(shared.completion);
    kat_error_free(shared.error);
    kat_token_list_free(shared.token_list);
    kat_token_iter_free(shared.token_iter);
    kat_token_free(shared.token);
    kat_session_free(shared.session);
    kat_session_info_free(shared.session_info);
    kat_ks_info_free(shared.ks_info);
    kat_lint_list_free(shared.lint_list);
    kat_response_profile_free(shared.response_profile);
    kat_string_free(shared.string);
    kat_client_free(shared.client);
    free(huge);
    return 0;
}
