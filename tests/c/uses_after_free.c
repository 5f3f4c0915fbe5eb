/* Reads a string whose token is freed: proof that the run in which it must fail would notice. */
#include "support.h"

int main(void) {
    sandbox_reset();
    kat_client *client = test_client(ADMIN_SECRET);
    kat_token *token = test_token(client);
    const char *id = kat_token_id(token);
    kat_token_free(token);
    kat_client_free(client);
    return id[0] == 'x' ? 2 : 0;
}
