/* Creates a token, exchanges it for a session, prints the session, and deletes the token.
 *
 * KALTURA_PARTNER_ID, KALTURA_ADMIN_SECRET and KALTURA_SERVICE_URL say where. */
#include <kaltura_app_token.h>
#include <stdio.h>

static int fail(kat_status status, kat_error *error) {
    fprintf(stderr, "%s: %s\n", kat_status_name(status), error ? kat_error_message(error) : "");
    if (kat_error_hint(error) != NULL)
        fprintf(stderr, "%s\n", kat_error_hint(error));
    kat_error_free(error);
    return 1;
}

static kat_status run(const kat_client *client, kat_error **error) {
    kat_token *token = NULL;
    kat_session *session = NULL;

    kat_token_params *wanted = kat_token_params_new();
    kat_token_params_set_description(wanted, "C example");
    kat_token_params_set_session_user_id(wanted, "alice");
    kat_token_params_set_session_privileges(wanted, "sview:*,list:*");
    kat_token_params_set_session_duration(wanted, 3600);
    kat_status status = kat_client_add_token(client, wanted, NULL, &token, error);
    kat_token_params_free(wanted);
    if (status != KAT_STATUS_OK)
        return status;

    kat_session_params *exchange = kat_session_params_new();
    kat_session_params_set_token(exchange, kat_token_id(token), kat_token_value(token));
    status = kat_client_start_session(client, exchange, NULL, &session, error);
    kat_session_params_free(exchange);
    if (status == KAT_STATUS_OK) {
        printf("%s\n", kat_session_ks(session));
        kat_session_free(session);
        status = kat_client_delete_token(client, kat_token_id(token), NULL, error);
    }
    kat_token_free(token);
    return status;
}

int main(void) {
    kat_config *config = NULL;
    kat_client *client = NULL;
    kat_error *error = NULL;

    kat_status status = kat_config_from_env(&config, &error);
    if (status == KAT_STATUS_OK)
        status = kat_client_new(config, &client, &error);
    if (status == KAT_STATUS_OK)
        status = run(client, &error);
    kat_client_free(client);
    kat_config_free(config);
    return status == KAT_STATUS_OK ? 0 : fail(status, error);
}
