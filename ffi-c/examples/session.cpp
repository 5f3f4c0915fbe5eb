// Creates a token, exchanges it for a session, prints the session, lists the account's tokens, and deletes it.
//
// KALTURA_PARTNER_ID, KALTURA_ADMIN_SECRET and KALTURA_SERVICE_URL say where.
#include <iostream>
#include <kaltura_app_token.hpp>

int main() {
    try {
        kat::client client(kat::config::from_env());
        kat::token token = client.add_token(kat::token_params()
                                                .description("C++ example")
                                                .session_user_id("alice")
                                                .session_privileges("sview:*,list:*")
                                                .session_duration(3600));
        kat::session session = client.start_session(kat::session_params(token.id(), *token.value()));
        std::cout << session.ks() << '\n';
        for (const kat::token &each : client.tokens())
            std::cerr << each.id() << ' ' << each.description().value_or("") << '\n';
        client.delete_token(token.id());
    } catch (const kat::error &error) {
        std::cerr << error.what() << '\n' << error.hint() << '\n';
        return 1;
    }
}
