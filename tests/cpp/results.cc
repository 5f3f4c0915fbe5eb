// The C++ header without exceptions: the same calls return kat::result.
#include <kaltura_app_token.hpp>

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1);                                                           \
        }                                                                            \
    } while (0)

static kat::config config(const char *url) {
    kat::config config;
    config.partner_id(102).admin_secret("0123456789abcdef0123456789abcdef").service_url(url).max_retries(0);
    return config;
}

int main() {
    auto made = kat::client::make(config(std::getenv("KAT_TEST_URL")));
    CHECK(made);
    kat::client client = *std::move(made);
    auto token = client.add_token(kat::token_params().session_user_id("alice"));
    CHECK(token && token->session_user_id() == "alice");
    auto session = client.start_session(kat::session_params(token->id(), *token->value()));
    CHECK(session && !session->ks().empty());
    auto source = kat::token_source::value(token->id(), *token->value());
    auto provider = kat::provider::make(client, *source);
    CHECK(provider && provider->get()->user_id() == "alice");
    auto longest = provider->get(kat::session_key().duration(3).min_remaining(5));
    CHECK(longest && !longest->ks().empty());
    std::size_t seen = 0;
    auto walk = client.tokens();
    CHECK(walk);
    for (auto &each : *walk)
        seen += each && each->id() == token->id();
    CHECK(seen == 1);
    auto queue = kat::queue::make(1);
    CHECK(queue && queue->get_token(client, token->id(), 9));
    auto full = queue->get_token(client, token->id(), 9);
    CHECK(!full && full.error().status() == kat::status::queue_full);
    auto done = queue->next(20000);
    CHECK(done && *done && (*done)->tag() == 9 && (*done)->take_token());
    CHECK(client.delete_token(token->id()));
    auto gone = client.delete_token(token->id());
    CHECK(!gone && gone.error().code() == "APP_TOKEN_ID_NOT_FOUND" && !gone.error().hint().empty());

    auto refused = kat::client::make(config("http://video.example.com"));
    CHECK(!refused && refused.error().status() == kat::status::invalid_arg);
    // A walk says once what ended it.
    auto nowhere = kat::client::make(config("http://127.0.0.1:1"));
    auto broken = nowhere->tokens();
    std::size_t errors = 0;
    for (auto &each : *broken)
        errors += !each && each.error().status() == kat::status::transport;
    CHECK(errors == 1);
}
