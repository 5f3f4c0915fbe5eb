// The C++ header with exceptions: ownership, absent values, iteration, errors.
#include <kaltura_app_token.hpp>
// Twice does no harm.
#include <kaltura_app_token.hpp>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <poll.h>

#define CHECK(condition)                                                             \
    do {                                                                             \
        if (!(condition)) {                                                          \
            std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1);                                                           \
        }                                                                            \
    } while (0)

static const char SECRET[] = "0123456789abcdef0123456789abcdef";

template <class Call>
static kat::error thrown(Call call) {
    try {
        call();
    } catch (const std::exception &caught) {
        const auto *error = dynamic_cast<const kat::error *>(&caught);
        CHECK(error != nullptr && std::string(error->what()).size() > 0);
        return *error;
    }
    CHECK(!"nothing was thrown");
    std::abort();
}

template <class T>
constexpr bool moves_only = std::is_nothrow_move_constructible_v<T> && !std::is_copy_constructible_v<T>;
static_assert(moves_only<kat::client> && moves_only<kat::config> && moves_only<kat::token> &&
              moves_only<kat::token_list> && moves_only<kat::session> && moves_only<kat::queue> &&
              moves_only<kat::completion> && moves_only<kat::token_walk> && moves_only<kat::cancel> &&
              moves_only<kat::token_source> && moves_only<kat::provider> && moves_only<kat::session_key>);
static_assert(std::is_base_of_v<std::exception, kat::error> && std::is_nothrow_copy_constructible_v<kat::error>);

static kat::config sandbox() {
    kat::config config;
    config.partner_id(102).admin_secret(SECRET).service_url(std::getenv("KAT_TEST_URL")).retry_backoff_ms(1);
    return config;
}

static void tokens(const kat::client &client) {
    std::string longer = "a note|not this";
    kat::token token = client.add_token(
        kat::token_params().description(std::string_view(longer).substr(0, 6)).session_user_id("alice"));
    CHECK(token.description() == "a note" && token.session_user_id() == "alice");
    CHECK(!token.expiry_unix() && token.session_type() == KAT_SESSION_TYPE_USER && token.value());
    kat::token moved = std::move(token);
    kat::token changed = client.update_token(
        moved.id(), kat::token_params().description("").clear(KAT_TOKEN_FIELD_SESSION_USER_ID));
    CHECK(changed.description() == "" && !changed.session_user_id());
    auto profile = kat::response_profile::fields(KAT_PROFILE_FIELDS_INCLUDE, "id");
    CHECK(!client.get_token(moved.id(), &profile).value());

    std::size_t listed = 0, walked = 0;
    auto list = client.list_tokens(kat::list_params().id_equal(moved.id()));
    for (kat::token_view each : list)
        listed += each.id() == moved.id();
    CHECK(listed == 1 && list.size() == 1 && list.total_count() == 1 && list[0].id() == moved.id());
    for (const kat::token &each : client.tokens())
        walked += each.id() == moved.id();
    CHECK(walked == 1);
    for (const kat::token &each : client.tokens(kat::list_params().session_user_id_equal("nobody")))
        CHECK(each.id().empty());

    client.delete_token(moved.id());
    kat::error error = thrown([&] { client.get_token(moved.id()); });
    CHECK(error.status() == kat::status::api && error.code() == "APP_TOKEN_ID_NOT_FOUND" && !error.hint().empty());
    CHECK(error.request() == "appToken.get" && error.attempts() == 1 && error.candidate_ids().empty());
    error = thrown([&] { client.get_token(std::string_view("a\0b", 3)); });
    CHECK(error.status() == kat::status::invalid_arg);
}

static void sessions(const kat::client &client) {
    kat::token token = client.add_token(kat::token_params().session_user_id("bob").session_privileges("sview:*"));
    kat::session session =
        client.start_session(kat::session_params(token.id(), *token.value()).privileges("edit:1_a").duration(60));
    CHECK(session.user_id() == "bob" && session.dropped_privileges() == std::vector<std::string>{"edit:1_a"});
    CHECK(client.session_info_of(session.ks()).user_id() == "bob");
    CHECK(client.session_info_of().session_type() == KAT_SESSION_TYPE_ADMIN);
    CHECK(client.sign_admin_session(1).ks() != client.start_admin_session().ks());
    CHECK(!client.start_widget_session().expiry_unix());
    client.end_session(session.ks());
    kat::cancel cancel;
    cancel.trigger();
    CHECK(thrown([&] { client.list_tokens({}, &cancel); }).status() == kat::status::cancelled);
}

static void queued(const kat::client &client) {
    kat::queue queue(3);
    CHECK(!queue.next());
    kat::token token = client.add_token(kat::token_params());
    queue.get_token(client, token.id(), 1);
    queue.get_token(client, "0_nothere", 2);
    auto number = queue.start_session(client, kat::session_params(token.id(), *token.value()), 3);
    CHECK(thrown([&] { queue.start_widget_session(client, 4); }).status() == kat::status::queue_full);
    while (queue.in_flight() > 0) {
        pollfd ready{queue.fd(), POLLIN, 0};
        CHECK(poll(&ready, 1, 20000) == 1);
        while (auto done = queue.next()) {
            switch (done->tag()) {
            case 1: CHECK(done->kind() == KAT_OPERATION_GET_TOKEN && done->take_token().id() == token.id()); break;
            case 2: CHECK(thrown([&] { done->take_token(); }).code() == "APP_TOKEN_ID_NOT_FOUND"); break;
            default: CHECK(done->number() == number && !done->take_session().ks().empty());
            }
        }
    }
    queue.give_up(number);
}

static void provided(const kat::client &client) {
    kat::token token = client.add_token(kat::token_params().session_user_id("carol"));
    auto source = kat::token_source::value(token.id(), *token.value());
    kat::provider provider(client, source, kat::provider_params().hash_type("auto").capacity(10));
    kat::session session = provider.get();
    CHECK(session.user_id() == "carol" && provider.get().ks() == session.ks());
    kat::session_key key;
    key.privileges("sview:1_a").session_type(KAT_SESSION_TYPE_USER).duration(60).min_remaining(30);
    CHECK(provider.get(key).ks() != session.ks());
    /* A wish that no session of a minute fulfils gets a fresh one. */
    CHECK(!provider.get(key.min_remaining(100)).ks().empty());
    kat::session replacement = provider.reject(session, KAT_KS_FAILURE_EXPIRED);
    CHECK(replacement.ks() != session.ks() && provider.get().ks() == replacement.ks());
    kat::queue queue(2);
    queue.provider_get(provider, kat::session_key(), 1);
    auto done = queue.next(20000);
    CHECK(done && done->kind() == KAT_OPERATION_PROVIDER_GET && done->take_session().ks() == replacement.ks());
    queue.provider_reject(provider, session, KAT_KS_FAILURE_EXPIRED, 2);
    done = queue.next(20000);
    CHECK(done && done->kind() == KAT_OPERATION_PROVIDER_REJECT && done->take_session().ks() == replacement.ks());
    kat::error error = thrown([&] { provider.reject(replacement, KAT_KS_FAILURE_LOGGED_OUT); });
    CHECK(error.status() == kat::status::api && error.code() == "INVALID_KS");
    kat::cancel cancel;
    cancel.trigger();
    CHECK(thrown([&] { provider.get(kat::session_key().user_id("dave"), &cancel); }).status() ==
          kat::status::cancelled);
    kat::provider nothing(client, kat::token_source::file("/nonexistent"));
    CHECK(thrown([&] { nothing.get(); }).status() == kat::status::invalid_arg);
    auto other_file = kat::token_source::value_file(token.id(), "/nonexistent");
    auto variable = kat::token_source::variable(token.id(), "KAT_TEST_UNSET");
    auto environment = kat::token_source::environment();
    CHECK(other_file.get() && variable.get() && environment.get());
}

static void local() {
    CHECK(kat::version() == KAT_VERSION);
    CHECK(kat::token_hash("MD5", "widget-ks", "token-value") == "4a464f122812a052b388aee4403bb531");
    auto ks = kat::sign_ks(kat::ks_params(102, 2000000000).user_id("eve").privileges("list:*"), SECRET);
    CHECK(kat::open_ks(ks.text(), SECRET).user_id() == "eve" && kat::describe_ks(ks.text()).partner_id() == 102);
    CHECK(thrown([&] { kat::open_ks(ks.text(), "other"); }).status() == kat::status::invalid_arg);
    kat::privileges set;
    set.add("edit", "1_a");
    set.add("edit", "1_b");
    set.add_flag("enableentitlement");
    CHECK(set.text() == "edit:1_a/1_b,enableentitlement" && set.size() == 2 && set.name(0) == "edit");
    CHECK((set.values(0) == std::vector<std::string>{"1_a", "1_b"}));
    set.remove("edit");
    CHECK(set.text() == "enableentitlement" && set.lint(KAT_PRIVILEGE_USE_TOKEN).empty());
    auto lints = kat::privileges::parse("edit:*").lint(KAT_PRIVILEGE_USE_START_SESSION);
    CHECK(lints.size() == 1 && lints[0].rule == "reserved-at-start-session");
    CHECK(thrown([] { kat::client client{kat::config().partner_id(-1)}; }).status() == kat::status::invalid_arg);
    CHECK(thrown([] { kat::config::from_file("/nonexistent"); }).status() == kat::status::invalid_arg);
}

int main() {
    local();
    kat::client client(sandbox());
    CHECK(client.partner_id() == 102 && client.service_url() == std::getenv("KAT_TEST_URL"));
    CHECK(!client.clock_difference());
    tokens(client);
    sessions(client);
    queued(client);
    provided(client);
}
