// The C library kaltura_app_token for C++17: header only, move-only owners, string_view in.
//
//     #include <kaltura_app_token.hpp>
//     #include <iostream>
//
//     int main() {
//         auto config = kat::config::from_env();
//         kat::client client(config);
//         auto session = client.start_session(kat::session_params(config.token_id(), config.token_value()));
//         std::cout << session.ks() << '\n';
//     }
//
// Every class owns one handle of the C library and is moved, not copied; a moved-from object may only be
// destroyed or assigned to. What its functions do, and from which threads, is said in kaltura_app_token.h.
// Strings that are returned are borrowed: they live as long as the object that they came from. What may be
// absent is a std::optional.
//
// With exceptions, calls return what they are asked for and throw kat::error. Without (-fno-exceptions, or
// KAT_NO_EXCEPTIONS defined), the same calls return kat::result<T>, which holds either that or the kat::error,
// and objects are made by make() instead of a constructor.
//
// Copies of secrets that this header makes, to end a string_view with a NUL, are wiped.

#ifndef KALTURA_APP_TOKEN_HPP
#define KALTURA_APP_TOKEN_HPP

#include "kaltura_app_token.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#if !defined(KAT_NO_EXCEPTIONS) && !defined(__cpp_exceptions)
#define KAT_NO_EXCEPTIONS
#endif

namespace kat {

// Programs may mix files that are compiled with and without exceptions.
#ifdef KAT_NO_EXCEPTIONS
inline namespace returning {
#else
inline namespace throwing {
#endif

enum class status : int {
    ok = KAT_STATUS_OK,
    null_arg = KAT_STATUS_NULL_ARG,
    invalid_arg = KAT_STATUS_INVALID_ARG,
    transport = KAT_STATUS_TRANSPORT,
    timeout = KAT_STATUS_TIMEOUT,
    http = KAT_STATUS_HTTP,
    decode = KAT_STATUS_DECODE,
    api = KAT_STATUS_API,
    outcome_unknown = KAT_STATUS_OUTCOME_UNKNOWN,
    cancelled = KAT_STATUS_CANCELLED,
    forked = KAT_STATUS_FORKED,
    panic = KAT_STATUS_PANIC,
    queue_full = KAT_STATUS_QUEUE_FULL,
    queue_empty = KAT_STATUS_QUEUE_EMPTY,
    wrong_take = KAT_STATUS_WRONG_TAKE,
    end = KAT_STATUS_END,
    local = KAT_STATUS_LOCAL,
    unproved = KAT_STATUS_UNPROVED,
    closed = KAT_STATUS_CLOSED,
};

enum class connect_cause : int {
    none = KAT_CONNECT_CAUSE_NONE,
    dns = KAT_CONNECT_CAUSE_DNS,
    refused = KAT_CONNECT_CAUSE_REFUSED,
    timeout = KAT_CONNECT_CAUSE_TIMEOUT,
    tls_trust = KAT_CONNECT_CAUSE_TLS_TRUST,
    tls_protocol = KAT_CONNECT_CAUSE_TLS_PROTOCOL,
    proxy = KAT_CONNECT_CAUSE_PROXY,
    reset = KAT_CONNECT_CAUSE_RESET,
    other = KAT_CONNECT_CAUSE_OTHER,
};

namespace detail {

template <class Handle, void (*Free)(Handle *)>
struct deleter {
    void operator()(Handle *handle) const noexcept { Free(handle); }
};

template <class Handle, void (*Free)(Handle *)>
using owned = std::unique_ptr<Handle, deleter<Handle, Free>>;

inline std::string_view view(const char *text) noexcept { return text ? std::string_view(text) : std::string_view(); }

inline std::optional<std::string_view> optional_view(const char *text) noexcept {
    return text ? std::optional<std::string_view>(text) : std::nullopt;
}

inline std::optional<std::int64_t> optional_number(std::int64_t number) noexcept {
    return number == KAT_ABSENT ? std::nullopt : std::optional<std::int64_t>(number);
}

// A string_view with a NUL at its end, wiped because it may be a secret.
class terminated {
public:
    explicit terminated(std::string_view text) : text_(text) {}
    terminated(const terminated &) = delete;
    terminated &operator=(const terminated &) = delete;
    ~terminated() {
        volatile char *byte = text_.data();
        for (std::size_t left = text_.size(); left > 0; --left)
            *byte++ = 0;
    }
    // What a NUL in the middle would cut off is refused by the library instead, as no UTF-8.
    const char *c_str() const noexcept {
        return text_.find('\0') == std::string::npos ? text_.c_str() : "\xff";
    }

private:
    std::string text_;
};

} // namespace detail

// Why a call failed. what() is one line without any credential.
class error : public std::exception {
public:
    // Takes the C error over, which may be NULL.
    explicit error(kat_status status, kat_error *raw = nullptr)
        : status_(static_cast<kat::status>(status)), raw_(raw, kat_error_free) {}

    const char *what() const noexcept override {
        return raw_ ? kat_error_message(raw_.get()) : kat_status_name(static_cast<std::int32_t>(status_));
    }
    kat::status status() const noexcept { return status_; }
    // The API's code, such as "INVALID_APP_TOKEN_HASH"; empty unless the status is api.
    std::string_view code() const noexcept { return detail::view(kat_error_api_code(raw_.get())); }
    // The likely cause and the next step, or empty.
    std::string_view hint() const noexcept { return detail::view(kat_error_hint(raw_.get())); }
    std::string_view request() const noexcept { return detail::view(kat_error_request(raw_.get())); }
    // Why no connection came about; none unless the status is transport.
    connect_cause cause() const noexcept { return static_cast<connect_cause>(kat_error_cause(raw_.get())); }
    int http_status() const noexcept { return kat_error_http_status(raw_.get()); }
    unsigned attempts() const noexcept { return kat_error_attempts(raw_.get()); }
    bool retryable() const noexcept { return kat_error_retryable(raw_.get()); }
    // Ids of tokens that may be the one whose creation is in doubt.
    std::vector<std::string> candidate_ids() const {
        std::vector<std::string> ids;
        for (std::size_t i = 0; i < kat_error_candidate_count(raw_.get()); ++i)
            ids.emplace_back(kat_error_candidate_id(raw_.get(), i));
        return ids;
    }

private:
    kat::status status_;
    // Shared, because an exception must be copyable.
    std::shared_ptr<kat_error> raw_;
};

// A value or an error.
template <class T>
class [[nodiscard]] result {
public:
    result(T value) : content_(std::in_place_index<0>, std::move(value)) {}
    result(kat::error error) : content_(std::in_place_index<1>, std::move(error)) {}

    explicit operator bool() const noexcept { return content_.index() == 0; }
    bool has_value() const noexcept { return content_.index() == 0; }
    // The value, which must be there.
    T &operator*() & { return *value_or_abort(); }
    T &&operator*() && { return std::move(*value_or_abort()); }
    T *operator->() { return value_or_abort(); }
    // The error, which must be there.
    const kat::error &error() const {
        if (const kat::error *error = std::get_if<1>(&content_))
            return *error;
        std::abort();
    }

private:
    T *value_or_abort() {
        if (T *value = std::get_if<0>(&content_))
            return value;
        std::abort();
    }
    std::variant<T, kat::error> content_;
};

template <>
class [[nodiscard]] result<void> {
public:
    result() = default;
    result(kat::error error) : error_(std::move(error)) {}

    explicit operator bool() const noexcept { return !error_; }
    bool has_value() const noexcept { return !error_; }
    // The error, which must be there.
    const kat::error &error() const {
        if (error_)
            return *error_;
        std::abort();
    }

private:
    std::optional<kat::error> error_;
};

// What a call returns: T where it can throw, otherwise result<T>.
#ifdef KAT_NO_EXCEPTIONS
template <class T>
using outcome = result<T>;
#else
template <class T>
using outcome = T;
#endif

namespace detail {

[[noreturn]] inline void fail(error error) {
#ifdef KAT_NO_EXCEPTIONS
    // Only constructors come here, which builds without exceptions do not have; or memory is at its end.
    (void)error;
    std::abort();
#else
    throw error;
#endif
}

// A failed call as what its function returns.
template <class T>
outcome<T> failed(kat_status status, kat_error *raw) {
#ifdef KAT_NO_EXCEPTIONS
    return error(status, raw);
#else
    fail(error(status, raw));
#endif
}

inline outcome<void> done(kat_status status, kat_error *raw) {
    if (status != KAT_STATUS_OK)
        return failed<void>(status, raw);
    return outcome<void>();
}

// Makes a C call with places for its handle and its error, and wraps the handle into a T.
template <class T, class Handle, class Call>
outcome<T> make(Call call) {
    Handle *handle = nullptr;
    kat_error *raw = nullptr;
    kat_status status = call(&handle, &raw);
    if (status != KAT_STATUS_OK)
        return failed<T>(status, raw);
    return T(handle);
}

template <class Handle>
Handle *allocated(Handle *handle) {
    if (!handle)
        fail(error(KAT_STATUS_PANIC));
    return handle;
}

} // namespace detail

using session_type = kat_session_type;
using token_status = kat_app_token_status;
using token_field = kat_token_field;
using privilege_use = kat_privilege_use;
using operation = kat_operation;
using ks_failure = kat_ks_failure;

inline std::string_view version() noexcept { return kat_version(); }

// A string of the library's, wiped when it goes.
class secret_string {
public:
    explicit secret_string(kat_string *raw) noexcept : raw_(raw) {}
    std::string_view text() const noexcept { return detail::view(kat_string_text(raw_.get())); }

private:
    detail::owned<kat_string, kat_string_free> raw_;
};

// Which fields an answer is to carry.
class response_profile {
public:
    explicit response_profile(kat_response_profile *raw) noexcept : raw_(raw) {}
    // `fields` as the API names them, separated by commas.
    static outcome<response_profile> fields(kat_profile_fields which, std::string_view fields) {
        detail::terminated names(fields);
        return detail::make<response_profile, kat_response_profile>([&](auto out, auto err) {
            return kat_response_profile_new(which, names.c_str(), out, err);
        });
    }
    static outcome<response_profile> named(std::string_view name, std::string_view system_name,
                                           kat_profile_fields which, std::string_view fields) {
        detail::terminated n(name), s(system_name), f(fields);
        return detail::make<response_profile, kat_response_profile>([&](auto out, auto err) {
            return kat_response_profile_new_named(n.c_str(), s.c_str(), which, f.c_str(), out, err);
        });
    }
    static outcome<response_profile> stored(std::int64_t id) {
        return detail::make<response_profile, kat_response_profile>(
            [&](auto out, auto err) { return kat_response_profile_by_id(id, out, err); });
    }
    static outcome<response_profile> stored(std::string_view system_name) {
        detail::terminated name(system_name);
        return detail::make<response_profile, kat_response_profile>(
            [&](auto out, auto err) { return kat_response_profile_by_system_name(name.c_str(), out, err); });
    }
    const kat_response_profile *get() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_response_profile, kat_response_profile_free> raw_;
};

// Settings of a client. Setters return the object; what they refuse, the client's making says.
class config {
public:
    config() : raw_(detail::allocated(kat_config_new())) {}
    explicit config(kat_config *raw) noexcept : raw_(raw) {}
    static outcome<config> from_env() {
        return detail::make<config, kat_config>([](auto out, auto err) { return kat_config_from_env(out, err); });
    }
    static outcome<config> from_file(std::string_view path) {
        detail::terminated text(path);
        return detail::make<config, kat_config>(
            [&](auto out, auto err) { return kat_config_from_file(text.c_str(), out, err); });
    }

    config &partner_id(std::int64_t id) { return kat_config_set_partner_id(get(), id), *this; }
    config &admin_secret(std::string_view text) { return set(kat_config_set_admin_secret, text); }
    config &ks(std::string_view text) { return set(kat_config_set_ks, text); }
    config &service_url(std::string_view text) { return set(kat_config_set_service_url, text); }
    config &user_id(std::string_view text) { return set(kat_config_set_user_id, text); }
    config &admin_session_duration(std::int64_t s) { return kat_config_set_admin_session_duration(get(), s), *this; }
    config &admin_privileges(std::string_view text) { return set(kat_config_set_admin_privileges, text); }
    config &admin_session(kat_admin_session how) { return kat_config_set_admin_session(get(), how), *this; }
    config &allow_http(bool allow) { return kat_config_set_allow_http(get(), allow), *this; }
    config &network_environment(bool read) { return kat_config_set_network_environment(get(), read), *this; }
    config &user_agent(std::string_view text) { return set(kat_config_set_user_agent, text); }
    config &connect_timeout_ms(std::int64_t ms) { return kat_config_set_connect_timeout_ms(get(), ms), *this; }
    config &attempt_timeout_ms(std::int64_t ms) { return kat_config_set_attempt_timeout_ms(get(), ms), *this; }
    config &total_timeout_ms(std::int64_t ms) { return kat_config_set_total_timeout_ms(get(), ms), *this; }
    config &idle_timeout_ms(std::int64_t ms) { return kat_config_set_idle_timeout_ms(get(), ms), *this; }
    config &max_retries(std::uint32_t count) { return kat_config_set_max_retries(get(), count), *this; }
    config &retry_backoff_ms(std::int64_t ms) { return kat_config_set_retry_backoff_ms(get(), ms), *this; }
    config &max_response_bytes(std::size_t bytes) { return kat_config_set_max_response_bytes(get(), bytes), *this; }
    config &proxy(std::string_view url) { return set(kat_config_set_proxy, url); }
    config &ca_file(std::string_view path) { return set(kat_config_set_ca_file, path); }

    // The token that was read from the environment; empty when there is none.
    std::string_view token_id() const noexcept { return detail::view(kat_config_token_id(get())); }
    std::string_view token_value() const noexcept { return detail::view(kat_config_token_value(get())); }
    std::vector<std::string> warnings() const {
        std::vector<std::string> texts;
        for (std::size_t i = 0; i < kat_config_warning_count(get()); ++i)
            texts.emplace_back(kat_config_warning(get(), i));
        return texts;
    }
    kat_config *get() const noexcept { return raw_.get(); }

private:
    config &set(kat_status (*setter)(kat_config *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_config, kat_config_free> raw_;
};

// What a new token is to be, or what an update is to change.
class token_params {
public:
    token_params() : raw_(detail::allocated(kat_token_params_new())) {}
    token_params &hash_type(std::string_view text) { return set(kat_token_params_set_hash_type, text); }
    token_params &session_type(std::int64_t type) { return kat_token_params_set_session_type(get(), type), *this; }
    token_params &session_duration(std::int64_t s) { return kat_token_params_set_session_duration(get(), s), *this; }
    token_params &session_privileges(std::string_view text) { return set(kat_token_params_set_session_privileges, text); }
    token_params &session_user_id(std::string_view text) { return set(kat_token_params_set_session_user_id, text); }
    token_params &description(std::string_view text) { return set(kat_token_params_set_description, text); }
    token_params &expiry_unix(std::int64_t unix_s) { return kat_token_params_set_expiry_unix(get(), unix_s), *this; }
    token_params &clear(token_field which) { return kat_token_params_clear(get(), which), *this; }
    token_params &profile(const response_profile &p) {
        return kat_token_params_set_response_profile(get(), p.get()), *this;
    }
    kat_token_params *get() const noexcept { return raw_.get(); }

private:
    token_params &set(kat_status (*setter)(kat_token_params *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_token_params, kat_token_params_free> raw_;
};

// Which tokens to list, and how.
class list_params {
public:
    list_params() : raw_(detail::allocated(kat_list_params_new())) {}
    list_params &page_size(std::uint32_t size) { return kat_list_params_set_page_size(get(), size), *this; }
    list_params &page_index(std::uint32_t index) { return kat_list_params_set_page_index(get(), index), *this; }
    list_params &with_secrets(bool with) { return kat_list_params_set_with_secrets(get(), with), *this; }
    list_params &id_equal(std::string_view text) { return set(kat_list_params_set_id_equal, text); }
    list_params &add_id_in(std::string_view text) { return set(kat_list_params_add_id_in, text); }
    list_params &status_equal(std::int64_t status) { return kat_list_params_set_status_equal(get(), status), *this; }
    list_params &add_status_in(std::int64_t status) { return kat_list_params_add_status_in(get(), status), *this; }
    list_params &created_at_greater_than_or_equal(std::int64_t unix_s) {
        return kat_list_params_set_created_at_greater_than_or_equal_unix(get(), unix_s), *this;
    }
    list_params &created_at_less_than_or_equal(std::int64_t unix_s) {
        return kat_list_params_set_created_at_less_than_or_equal_unix(get(), unix_s), *this;
    }
    list_params &updated_at_greater_than_or_equal(std::int64_t unix_s) {
        return kat_list_params_set_updated_at_greater_than_or_equal_unix(get(), unix_s), *this;
    }
    list_params &updated_at_less_than_or_equal(std::int64_t unix_s) {
        return kat_list_params_set_updated_at_less_than_or_equal_unix(get(), unix_s), *this;
    }
    list_params &session_user_id_equal(std::string_view text) {
        return set(kat_list_params_set_session_user_id_equal, text);
    }
    list_params &hash_type_equal(std::string_view text) { return set(kat_list_params_set_hash_type_equal, text); }
    list_params &session_type_equal(std::int64_t type) {
        return kat_list_params_set_session_type_equal(get(), type), *this;
    }
    list_params &order_by(std::string_view text) { return set(kat_list_params_set_order_by, text); }
    list_params &profile(const response_profile &p) {
        return kat_list_params_set_response_profile(get(), p.get()), *this;
    }
    kat_list_params *get() const noexcept { return raw_.get(); }

private:
    list_params &set(kat_status (*setter)(kat_list_params *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_list_params, kat_list_params_free> raw_;
};

// What to exchange for a session.
class session_params {
public:
    session_params(std::string_view token_id, std::string_view token_value)
        : raw_(detail::allocated(kat_session_params_new())) {
        detail::terminated id(token_id), value(token_value);
        kat_session_params_set_token(get(), id.c_str(), value.c_str());
    }
    session_params &hash_type(std::string_view text) { return set(kat_session_params_set_hash_type, text); }
    session_params &user_id(std::string_view text) { return set(kat_session_params_set_user_id, text); }
    session_params &session_type(std::int64_t type) { return kat_session_params_set_session_type(get(), type), *this; }
    session_params &duration(std::int64_t s) { return kat_session_params_set_duration(get(), s), *this; }
    session_params &privileges(std::string_view text) { return set(kat_session_params_set_privileges, text); }
    kat_session_params *get() const noexcept { return raw_.get(); }

private:
    session_params &set(kat_status (*setter)(kat_session_params *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_session_params, kat_session_params_free> raw_;
};

// A token that something else owns, such as a token_list.
class token_view {
public:
    explicit token_view(const kat_token *raw) noexcept : raw_(raw) {}
    std::string_view id() const noexcept { return detail::view(kat_token_id(raw_)); }
    std::optional<std::string_view> value() const noexcept { return detail::optional_view(kat_token_value(raw_)); }
    auto partner_id() const noexcept { return detail::optional_number(kat_token_partner_id(raw_)); }
    auto status() const noexcept { return detail::optional_number(kat_token_status(raw_)); }
    auto session_type() const noexcept { return detail::optional_number(kat_token_session_type(raw_)); }
    auto session_duration() const noexcept { return detail::optional_number(kat_token_session_duration(raw_)); }
    auto session_privileges() const noexcept { return detail::optional_view(kat_token_session_privileges(raw_)); }
    auto session_user_id() const noexcept { return detail::optional_view(kat_token_session_user_id(raw_)); }
    auto hash_type() const noexcept { return detail::optional_view(kat_token_hash_type(raw_)); }
    auto description() const noexcept { return detail::optional_view(kat_token_description(raw_)); }
    auto expiry_unix() const noexcept { return detail::optional_number(kat_token_expiry_unix(raw_)); }
    auto created_at_unix() const noexcept { return detail::optional_number(kat_token_created_at_unix(raw_)); }
    auto updated_at_unix() const noexcept { return detail::optional_number(kat_token_updated_at_unix(raw_)); }

protected:
    const kat_token *raw_;
};

// A token of one's own.
class token : public token_view {
public:
    explicit token(kat_token *raw) noexcept : token_view(raw), owned_(raw) {}

private:
    detail::owned<kat_token, kat_token_free> owned_;
};

// One page of tokens, for range-for.
class token_list {
public:
    explicit token_list(kat_token_list *raw) noexcept : raw_(raw) {}

    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = token_view;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = token_view;
        iterator(const kat_token_list *list, std::size_t at) noexcept : list_(list), at_(at) {}
        token_view operator*() const noexcept { return token_view(kat_token_list_get(list_, at_)); }
        iterator &operator++() noexcept { return ++at_, *this; }
        void operator++(int) noexcept { ++at_; }
        bool operator==(const iterator &other) const noexcept { return at_ == other.at_; }
        bool operator!=(const iterator &other) const noexcept { return at_ != other.at_; }

    private:
        const kat_token_list *list_;
        std::size_t at_;
    };

    std::size_t size() const noexcept { return kat_token_list_len(raw_.get()); }
    bool empty() const noexcept { return size() == 0; }
    token_view operator[](std::size_t at) const noexcept { return token_view(kat_token_list_get(raw_.get(), at)); }
    std::int64_t total_count() const noexcept { return kat_token_list_total_count(raw_.get()); }
    iterator begin() const noexcept { return iterator(raw_.get(), 0); }
    iterator end() const noexcept { return iterator(raw_.get(), size()); }

private:
    detail::owned<kat_token_list, kat_token_list_free> raw_;
};

// Cancels calls from another thread.
class cancel {
public:
    cancel() : raw_(detail::allocated(kat_cancel_new())) {}
    void trigger() const noexcept { kat_cancel_trigger(get()); }
    bool is_triggered() const noexcept { return kat_cancel_is_triggered(get()); }
    kat_cancel *get() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_cancel, kat_cancel_free> raw_;
};

namespace detail {

inline const kat_cancel *raw(const cancel *c) noexcept { return c ? c->get() : nullptr; }

} // namespace detail

// A walk over all tokens, for range-for: an element is a token where the walk can throw, and otherwise a
// result<token>, after whose error the walk ends.
class token_walk {
public:
    explicit token_walk(kat_token_iter *raw) noexcept : raw_(raw) {}

    // The next token; nothing at the end.
    outcome<std::optional<token>> next(const cancel *give_up = nullptr) {
        kat_token *handle = nullptr;
        kat_error *raw = nullptr;
        kat_status status = kat_token_iter_next(raw_.get(), detail::raw(give_up), &handle, &raw);
        if (status == KAT_STATUS_END)
            return std::optional<token>();
        if (status != KAT_STATUS_OK)
            return detail::failed<std::optional<token>>(status, raw);
        return std::optional<token>(token(handle));
    }

    struct sentinel {};
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = outcome<token>;
        using difference_type = std::ptrdiff_t;
        using pointer = value_type *;
        using reference = value_type &;
        explicit iterator(token_walk *walk) : walk_(walk) { ++*this; }
        reference operator*() noexcept { return *current_; }
        pointer operator->() noexcept { return &*current_; }
        iterator &operator++() {
            advance(walk_->next());
            return *this;
        }
        void operator++(int) { ++*this; }
        bool operator!=(sentinel) const noexcept { return current_.has_value(); }
        bool operator==(sentinel) const noexcept { return !current_.has_value(); }

    private:
#ifdef KAT_NO_EXCEPTIONS
        void advance(result<std::optional<token>> next) {
            bool failed = current_.has_value() && !*current_;
            current_.reset();
            if (failed)
                return;
            if (!next)
                current_.emplace(next.error());
            else if (*next)
                current_.emplace(std::move(**next));
        }
#else
        void advance(std::optional<token> next) { current_ = std::move(next); }
#endif
        token_walk *walk_;
        std::optional<value_type> current_;
    };
    iterator begin() { return iterator(this); }
    sentinel end() const noexcept { return {}; }

private:
    detail::owned<kat_token_iter, kat_token_iter_free> raw_;
};

// A session that was started.
class session {
public:
    explicit session(kat_session *raw) noexcept : raw_(raw) {}
    std::string_view ks() const noexcept { return detail::view(kat_session_ks(raw_.get())); }
    auto session_type() const noexcept { return detail::optional_number(kat_session_session_type(raw_.get())); }
    auto partner_id() const noexcept { return detail::optional_number(kat_session_partner_id(raw_.get())); }
    auto user_id() const noexcept { return detail::optional_view(kat_session_user_id(raw_.get())); }
    auto expiry_unix() const noexcept { return detail::optional_number(kat_session_expiry_unix(raw_.get())); }
    auto privileges() const noexcept { return detail::optional_view(kat_session_privileges(raw_.get())); }
    std::vector<std::string> dropped_privileges() const {
        std::vector<std::string> dropped;
        for (std::size_t i = 0; i < kat_session_dropped_privilege_count(raw_.get()); ++i)
            dropped.emplace_back(kat_session_dropped_privilege(raw_.get(), i));
        return dropped;
    }
    kat_session *get() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_session, kat_session_free> raw_;
};

// What the server reads from a session.
class session_info {
public:
    explicit session_info(kat_session_info *raw) noexcept : raw_(raw) {}
    auto session_type() const noexcept { return detail::optional_number(kat_session_info_session_type(raw_.get())); }
    auto partner_id() const noexcept { return detail::optional_number(kat_session_info_partner_id(raw_.get())); }
    auto user_id() const noexcept { return detail::optional_view(kat_session_info_user_id(raw_.get())); }
    auto expiry_unix() const noexcept { return detail::optional_number(kat_session_info_expiry_unix(raw_.get())); }
    auto privileges() const noexcept { return detail::optional_view(kat_session_info_privileges(raw_.get())); }

private:
    detail::owned<kat_session_info, kat_session_info_free> raw_;
};

// Manages an account's tokens and exchanges tokens for sessions. One client serves all threads.
class client {
public:
    explicit client(kat_client *raw) noexcept : raw_(raw) {}
#ifndef KAT_NO_EXCEPTIONS
    explicit client(const config &settings) : client(make(settings)) {}
#endif
    static outcome<client> make(const config &settings) {
        return detail::make<client, kat_client>(
            [&](auto out, auto err) { return kat_client_new(settings.get(), out, err); });
    }

    std::string_view service_url() const noexcept { return detail::view(kat_client_service_url(get())); }
    auto partner_id() const noexcept { return detail::optional_number(kat_client_partner_id(get())); }
    auto clock_difference() const noexcept { return detail::optional_number(kat_client_clock_difference(get())); }

    outcome<token> add_token(const token_params &params, const cancel *c = nullptr) const {
        return detail::make<token, kat_token>(
            [&](auto out, auto err) { return kat_client_add_token(get(), params.get(), detail::raw(c), out, err); });
    }
    outcome<token> get_token(std::string_view id, const response_profile *profile = nullptr,
                             const cancel *c = nullptr) const {
        detail::terminated text(id);
        return detail::make<token, kat_token>([&](auto out, auto err) {
            return kat_client_get_token(get(), text.c_str(), profile ? profile->get() : nullptr, detail::raw(c), out, err);
        });
    }
    outcome<token> update_token(std::string_view id, const token_params &params, const cancel *c = nullptr) const {
        detail::terminated text(id);
        return detail::make<token, kat_token>([&](auto out, auto err) {
            return kat_client_update_token(get(), text.c_str(), params.get(), detail::raw(c), out, err);
        });
    }
    outcome<void> delete_token(std::string_view id, const cancel *c = nullptr) const {
        detail::terminated text(id);
        kat_error *err = nullptr;
        kat_status status = kat_client_delete_token(get(), text.c_str(), detail::raw(c), &err);
        return detail::done(status, err);
    }
    outcome<token_list> list_tokens(const list_params &params = list_params(), const cancel *c = nullptr) const {
        return detail::make<token_list, kat_token_list>(
            [&](auto out, auto err) { return kat_client_list_tokens(get(), params.get(), detail::raw(c), out, err); });
    }
    outcome<token_walk> tokens(const list_params &params = list_params()) const {
        return detail::make<token_walk, kat_token_iter>(
            [&](auto out, auto err) { return kat_client_tokens(get(), params.get(), out, err); });
    }
    outcome<session> start_session(const session_params &params, const cancel *c = nullptr) const {
        return detail::make<session, kat_session>(
            [&](auto out, auto err) { return kat_client_start_session(get(), params.get(), detail::raw(c), out, err); });
    }
    outcome<session> start_widget_session(const cancel *c = nullptr) const {
        return detail::make<session, kat_session>(
            [&](auto out, auto err) { return kat_client_start_widget_session(get(), detail::raw(c), out, err); });
    }
    outcome<session> start_admin_session(const cancel *c = nullptr) const {
        return detail::make<session, kat_session>(
            [&](auto out, auto err) { return kat_client_start_admin_session(get(), detail::raw(c), out, err); });
    }
    outcome<session> sign_admin_session(int version = 2) const {
        return detail::make<session, kat_session>(
            [&](auto out, auto err) { return kat_client_sign_admin_session(get(), version, out, err); });
    }
    // What the server reads from a session; without one, from the client's own admin session.
    outcome<session_info> session_info_of(std::optional<std::string_view> ks = std::nullopt,
                                          const cancel *c = nullptr) const {
        detail::terminated text(ks.value_or(std::string_view()));
        return detail::make<session_info, kat_session_info>([&](auto out, auto err) {
            return kat_client_session_info(get(), ks ? text.c_str() : nullptr, detail::raw(c), out, err);
        });
    }
    outcome<void> end_session(std::string_view ks, const cancel *c = nullptr) const {
        detail::terminated text(ks);
        kat_error *err = nullptr;
        kat_status status = kat_client_end_session(get(), text.c_str(), detail::raw(c), &err);
        return detail::done(status, err);
    }
    kat_client *get() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_client, kat_client_free> raw_;
};

// Where a provider gets its token's id and value from, for every session that it starts.
class token_source {
public:
    explicit token_source(kat_token_source *raw) noexcept : raw_(raw) {}
    static outcome<token_source> value(std::string_view id, std::string_view value) {
        return from(kat_token_source_value, id, value);
    }
    static outcome<token_source> environment() {
        return detail::make<token_source, kat_token_source>(
            [](auto out, auto err) { return kat_token_source_environment(out, err); });
    }
    static outcome<token_source> variable(std::string_view id, std::string_view name) {
        return from(kat_token_source_variable, id, name);
    }
    static outcome<token_source> file(std::string_view path) {
        detail::terminated text(path);
        return detail::make<token_source, kat_token_source>(
            [&](auto out, auto err) { return kat_token_source_file(text.c_str(), out, err); });
    }
    static outcome<token_source> value_file(std::string_view id, std::string_view path) {
        return from(kat_token_source_value_file, id, path);
    }
    kat_token_source *get() const noexcept { return raw_.get(); }

private:
    static outcome<token_source> from(kat_status (*make)(const char *, const char *, kat_token_source **, kat_error **),
                                      std::string_view id, std::string_view rest) {
        detail::terminated first(id), second(rest);
        return detail::make<token_source, kat_token_source>(
            [&](auto out, auto err) { return make(first.c_str(), second.c_str(), out, err); });
    }
    detail::owned<kat_token_source, kat_token_source_free> raw_;
};

// Settings of a provider.
class provider_params {
public:
    provider_params() : raw_(detail::allocated(kat_provider_params_new())) {}
    provider_params &hash_type(std::string_view text) {
        return kat_provider_params_set_hash_type(get(), detail::terminated(text).c_str()), *this;
    }
    provider_params &capacity(std::size_t sessions) {
        return kat_provider_params_set_capacity(get(), sessions), *this;
    }
    kat_provider_params *get() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_provider_params, kat_provider_params_free> raw_;
};

// Which session is wanted of a provider.
class session_key {
public:
    session_key() : raw_(detail::allocated(kat_session_key_new())) {}
    session_key &user_id(std::string_view text) { return set(kat_session_key_set_user_id, text); }
    session_key &session_type(std::int64_t type) { return kat_session_key_set_session_type(get(), type), *this; }
    session_key &privileges(std::string_view text) { return set(kat_session_key_set_privileges, text); }
    session_key &duration(std::int64_t s) { return kat_session_key_set_duration(get(), s), *this; }
    session_key &min_remaining(std::int64_t s) { return kat_session_key_set_min_remaining(get(), s), *this; }
    kat_session_key *get() const noexcept { return raw_.get(); }

private:
    session_key &set(kat_status (*setter)(kat_session_key *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_session_key, kat_session_key_free> raw_;
};

// Hands out sessions of one token, and starts one only when there is no good one. One provider serves all threads.
class provider {
public:
    explicit provider(kat_provider *raw) noexcept : raw_(raw) {}
#ifndef KAT_NO_EXCEPTIONS
    provider(const client &by, const token_source &source, const provider_params &params = provider_params())
        : provider(make(by, source, params)) {}
#endif
    static outcome<provider> make(const client &by, const token_source &source,
                                  const provider_params &params = provider_params()) {
        return detail::make<provider, kat_provider>([&](auto out, auto err) {
            return kat_provider_new(by.get(), source.get(), params.get(), out, err);
        });
    }

    // A session that is good now.
    outcome<session> get(const session_key &key = session_key(), const cancel *c = nullptr) const {
        return detail::make<session, kat_session>([&](auto out, auto err) {
            return kat_provider_get(handle(), key.get(), detail::raw(c), out, err);
        });
    }
    // Takes back a session that the API refused, and returns the one to try again with.
    outcome<session> reject(const session &refused, ks_failure reason, const cancel *c = nullptr) const {
        return detail::make<session, kat_session>([&](auto out, auto err) {
            return kat_provider_reject(handle(), refused.get(), reason, detail::raw(c), out, err);
        });
    }
    kat_provider *handle() const noexcept { return raw_.get(); }

private:
    detail::owned<kat_provider, kat_provider_free> raw_;
};

// What came of a submitted call.
class completion {
public:
    explicit completion(kat_completion *raw) noexcept : raw_(raw) {}
    std::uint64_t tag() const noexcept { return kat_completion_tag(raw_.get()); }
    std::uint64_t number() const noexcept { return kat_completion_operation(raw_.get()); }
    operation kind() const noexcept { return static_cast<operation>(kat_completion_kind(raw_.get())); }
    kat::status status() const noexcept { return static_cast<kat::status>(kat_completion_status(raw_.get())); }
    bool ok() const noexcept { return status() == kat::status::ok; }

    // Takes the result out. The error of a failed call is thrown or returned here.
    outcome<token> take_token() { return take<token, kat_token>(kat_completion_take_token); }
    outcome<token_list> take_list() { return take<token_list, kat_token_list>(kat_completion_take_list); }
    outcome<session> take_session() { return take<session, kat_session>(kat_completion_take_session); }
    outcome<session_info> take_session_info() {
        return take<session_info, kat_session_info>(kat_completion_take_session_info);
    }
    // Why the call failed; nothing when it did not, or when this was taken already.
    std::optional<error> take_error() {
        kat_error *raw = nullptr;
        if (kat_completion_take_error(raw_.get(), &raw) != KAT_STATUS_OK)
            return std::nullopt;
        return error(kat_error_status(raw), raw);
    }

private:
    template <class T, class Handle>
    outcome<T> take(kat_status (*take)(kat_completion *, Handle **, kat_error **)) {
        kat_error *raw = nullptr;
        if (kat_completion_take_error(raw_.get(), &raw) == KAT_STATUS_OK)
            return detail::failed<T>(kat_error_status(raw), raw);
        return detail::make<T, Handle>([&](auto out, auto err) { return take(raw_.get(), out, err); });
    }
    detail::owned<kat_completion, kat_completion_free> raw_;
};

// Calls in flight, for event loops; see kat_queue.
class queue {
public:
    explicit queue(kat_queue *raw) noexcept : raw_(raw) {}
#ifndef KAT_NO_EXCEPTIONS
    explicit queue(std::size_t limit) : queue(make(limit)) {}
#endif
    static outcome<queue> make(std::size_t limit) {
        return detail::make<queue, kat_queue>(
            [&](auto out, auto err) { return kat_queue_new(limit, out, err); });
    }
    int fd() const noexcept { return kat_queue_fd(get()); }
    std::size_t in_flight() const noexcept { return kat_queue_in_flight(get()); }

    // Collects a completion; nothing when none came in time. A negative time is for ever.
    outcome<std::optional<completion>> next(std::int64_t timeout_ms = 0) const {
        kat_completion *handle = nullptr;
        kat_error *raw = nullptr;
        kat_status status = kat_queue_next(get(), timeout_ms, &handle, &raw);
        if (status == KAT_STATUS_QUEUE_EMPTY)
            return std::optional<completion>();
        if (status != KAT_STATUS_OK)
            return detail::failed<std::optional<completion>>(status, raw);
        return std::optional<completion>(completion(handle));
    }
    outcome<void> give_up(std::uint64_t number) const {
        kat_error *err = nullptr;
        kat_status status = kat_queue_cancel(get(), number, &err);
        return detail::done(status, err);
    }

    // Submit what the client's or the provider's function of that name does; each returns the call's number.
    outcome<std::uint64_t> add_token(const client &by, const token_params &params, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_client_add_token_submit(by.get(), params.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> get_token(const client &by, std::string_view id, std::uint64_t tag,
                                     const response_profile *profile = nullptr) const {
        detail::terminated text(id);
        return submit([&](auto number, auto err) {
            return kat_client_get_token_submit(by.get(), text.c_str(), profile ? profile->get() : nullptr, get(), tag,
                                               number, err);
        });
    }
    outcome<std::uint64_t> update_token(const client &by, std::string_view id, const token_params &params,
                                        std::uint64_t tag) const {
        detail::terminated text(id);
        return submit([&](auto number, auto err) {
            return kat_client_update_token_submit(by.get(), text.c_str(), params.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> delete_token(const client &by, std::string_view id, std::uint64_t tag) const {
        detail::terminated text(id);
        return submit([&](auto number, auto err) {
            return kat_client_delete_token_submit(by.get(), text.c_str(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> list_tokens(const client &by, const list_params &params, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_client_list_tokens_submit(by.get(), params.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> start_session(const client &by, const session_params &params, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_client_start_session_submit(by.get(), params.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> start_widget_session(const client &by, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_client_start_widget_session_submit(by.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> start_admin_session(const client &by, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_client_start_admin_session_submit(by.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> session_info_of(const client &by, std::optional<std::string_view> ks,
                                           std::uint64_t tag) const {
        detail::terminated text(ks.value_or(std::string_view()));
        return submit([&](auto number, auto err) {
            return kat_client_session_info_submit(by.get(), ks ? text.c_str() : nullptr, get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> end_session(const client &by, std::string_view ks, std::uint64_t tag) const {
        detail::terminated text(ks);
        return submit([&](auto number, auto err) {
            return kat_client_end_session_submit(by.get(), text.c_str(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> provider_get(const provider &by, const session_key &key, std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_provider_get_submit(by.handle(), key.get(), get(), tag, number, err);
        });
    }
    outcome<std::uint64_t> provider_reject(const provider &by, const session &refused, ks_failure reason,
                                           std::uint64_t tag) const {
        return submit([&](auto number, auto err) {
            return kat_provider_reject_submit(by.handle(), refused.get(), reason, get(), tag, number, err);
        });
    }
    kat_queue *get() const noexcept { return raw_.get(); }

private:
    template <class Call>
    outcome<std::uint64_t> submit(Call call) const {
        std::uint64_t number = 0;
        kat_error *raw = nullptr;
        kat_status status = call(&number, &raw);
        if (status != KAT_STATUS_OK)
            return detail::failed<std::uint64_t>(status, raw);
        return number;
    }
    detail::owned<kat_queue, kat_queue_free> raw_;
};

// What a KS to be signed says.
class ks_params {
public:
    ks_params(std::int64_t partner_id, std::int64_t expiry_unix) : raw_(detail::allocated(kat_ks_params_new())) {
        kat_ks_params_set_partner_id(get(), partner_id);
        kat_ks_params_set_expiry_unix(get(), expiry_unix);
    }
    ks_params &user_id(std::string_view text) { return set(kat_ks_params_set_user_id, text); }
    ks_params &session_type(std::int64_t type) { return kat_ks_params_set_session_type(get(), type), *this; }
    ks_params &privileges(std::string_view text) { return set(kat_ks_params_set_privileges, text); }
    ks_params &master_partner_id(std::int64_t id) { return kat_ks_params_set_master_partner_id(get(), id), *this; }
    ks_params &additional_data(std::string_view text) { return set(kat_ks_params_set_additional_data, text); }
    kat_ks_params *get() const noexcept { return raw_.get(); }

private:
    ks_params &set(kat_status (*setter)(kat_ks_params *, const char *), std::string_view text) {
        setter(get(), detail::terminated(text).c_str());
        return *this;
    }
    detail::owned<kat_ks_params, kat_ks_params_free> raw_;
};

// What a KS says, as far as it could be read.
class ks_info {
public:
    explicit ks_info(kat_ks_info *raw) noexcept : raw_(raw) {}
    int version() const noexcept { return kat_ks_info_version(raw_.get()); }
    bool verified() const noexcept { return kat_ks_info_verified(raw_.get()); }
    auto partner_id() const noexcept { return detail::optional_number(kat_ks_info_partner_id(raw_.get())); }
    auto session_type() const noexcept { return detail::optional_number(kat_ks_info_session_type(raw_.get())); }
    auto user_id() const noexcept { return detail::optional_view(kat_ks_info_user_id(raw_.get())); }
    auto expiry_unix() const noexcept { return detail::optional_number(kat_ks_info_expiry_unix(raw_.get())); }
    auto privileges() const noexcept { return detail::optional_view(kat_ks_info_privileges(raw_.get())); }
    auto master_partner_id() const noexcept {
        return detail::optional_number(kat_ks_info_master_partner_id(raw_.get()));
    }
    auto additional_data() const noexcept { return detail::optional_view(kat_ks_info_additional_data(raw_.get())); }
    auto random() const noexcept { return detail::optional_view(kat_ks_info_random(raw_.get())); }

private:
    detail::owned<kat_ks_info, kat_ks_info_free> raw_;
};

inline outcome<secret_string> sign_ks(const ks_params &params, std::string_view secret, int version = 2) {
    detail::terminated text(secret);
    return detail::make<secret_string, kat_string>(
        [&](auto out, auto err) { return kat_ks_sign(params.get(), text.c_str(), version, out, err); });
}

inline outcome<ks_info> open_ks(std::string_view ks, std::string_view secret) {
    detail::terminated text(ks), key(secret);
    return detail::make<ks_info, kat_ks_info>(
        [&](auto out, auto err) { return kat_ks_open(text.c_str(), key.c_str(), out, err); });
}

inline outcome<ks_info> describe_ks(std::string_view ks) {
    detail::terminated text(ks);
    return detail::make<ks_info, kat_ks_info>(
        [&](auto out, auto err) { return kat_ks_describe(text.c_str(), out, err); });
}

// The hash that appToken.startSession wants.
inline outcome<std::string> token_hash(std::string_view hash_type, std::string_view ks, std::string_view value) {
    detail::terminated type(hash_type), session(ks), token(value);
    char buffer[KAT_HASH_SIZE];
    std::size_t written = 0;
    kat_error *raw = nullptr;
    kat_status status =
        kat_token_hash(type.c_str(), session.c_str(), token.c_str(), buffer, sizeof buffer, &written, &raw);
    if (status != KAT_STATUS_OK)
        return detail::failed<std::string>(status, raw);
    return std::string(buffer, written);
}

// One thing about a privilege string that will not work as it reads.
struct privilege_lint {
    std::string rule, privilege, message;
};

// An ordered set of privileges.
class privileges {
public:
    privileges() : raw_(detail::allocated(kat_privileges_new())) {}
    explicit privileges(kat_privileges *raw) noexcept : raw_(raw) {}
    static outcome<privileges> parse(std::string_view text) { return from(kat_privileges_parse, text); }
    static outcome<privileges> read_only_playback(std::string_view privacy_context) {
        return from(kat_privileges_read_only_playback, privacy_context);
    }
    static outcome<privileges> single_entry_playback(std::string_view entry_id) {
        return from(kat_privileges_single_entry_playback, entry_id);
    }
    static outcome<privileges> analytics_tagged(std::string_view app_id) {
        return from(kat_privileges_analytics_tagged, app_id);
    }
    static privileges upload() { return privileges(detail::allocated(kat_privileges_upload())); }

    outcome<void> add(std::string_view name, std::string_view value) {
        detail::terminated n(name), v(value);
        kat_error *err = nullptr;
        kat_status status = kat_privileges_add(raw_.get(), n.c_str(), v.c_str(), &err);
        return detail::done(status, err);
    }
    outcome<void> add_flag(std::string_view name) {
        detail::terminated n(name);
        kat_error *err = nullptr;
        kat_status status = kat_privileges_add_flag(raw_.get(), n.c_str(), &err);
        return detail::done(status, err);
    }
    outcome<void> remove(std::string_view name) {
        detail::terminated n(name);
        kat_error *err = nullptr;
        kat_status status = kat_privileges_remove(raw_.get(), n.c_str(), &err);
        return detail::done(status, err);
    }

    // The string; valid until the set is changed.
    std::string_view text() const noexcept { return detail::view(kat_privileges_text(raw_.get())); }
    std::size_t size() const noexcept { return kat_privileges_len(raw_.get()); }
    std::string_view name(std::size_t at) const noexcept { return detail::view(kat_privileges_name(raw_.get(), at)); }
    std::vector<std::string> values(std::size_t at) const {
        std::vector<std::string> values;
        for (std::size_t i = 0; i < kat_privileges_value_count(raw_.get(), at); ++i)
            values.emplace_back(kat_privileges_value(raw_.get(), at, i));
        return values;
    }
    outcome<std::vector<privilege_lint>> lint(privilege_use used_for) const {
        kat_lint_list *handle = nullptr;
        kat_error *err = nullptr;
        kat_status status = kat_privileges_lint(raw_.get(), used_for, &handle, &err);
        if (status != KAT_STATUS_OK)
            return detail::failed<std::vector<privilege_lint>>(status, err);
        detail::owned<kat_lint_list, kat_lint_list_free> list(handle);
        std::vector<privilege_lint> lints;
        for (std::size_t i = 0; i < kat_lint_list_len(handle); ++i)
            lints.push_back({kat_lint_list_rule(handle, i), kat_lint_list_privilege(handle, i),
                             kat_lint_list_message(handle, i)});
        return lints;
    }

private:
    static outcome<privileges> from(kat_status (*make)(const char *, kat_privileges **, kat_error **),
                                    std::string_view text) {
        detail::terminated terminated(text);
        return detail::make<privileges, kat_privileges>(
            [&](auto out, auto err) { return make(terminated.c_str(), out, err); });
    }
    detail::owned<kat_privileges, kat_privileges_free> raw_;
};

} // namespace throwing or returning
} // namespace kat

#endif
