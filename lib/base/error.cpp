#include "weir/error.hpp"

#include <utility>

#include "base/url_text.hpp"

namespace weir {
namespace {

const char* sentence(errc code) noexcept {
  switch (code) {
    case errc::invalid_argument: return "The URL, method, header or option is not valid";
    case errc::resolve_failed: return "The host has no address";
    case errc::connect_failed: return "The connection could not be made";
    case errc::tls_failed: return "The TLS handshake or the check of the certificate failed";
    case errc::connection_lost: return "The connection ended before the response headers did";
    case errc::protocol_error: return "The peer broke the rules of HTTP";
    case errc::truncated: return "The connection ended before the body did";
    case errc::decode_failed: return "The content encoding of the body is corrupt or cut short";
    case errc::too_many_redirects: return "There were more redirects than allowed";
    case errc::too_large: return "A size limit was exceeded";
    case errc::timed_out: return "The time allowed ran out";
    case errc::consumer_stalled: return "The body stayed paused because nobody read it";
    case errc::aborted: return "The request was aborted on this side";
    case errc::body_used: return "The body was already taken";
    case errc::not_replayable: return "The request body cannot be sent a second time";
    case errc::source_failed: return "The function that makes the body failed";
    case errc::integrity_failed: return "The body does not match the integrity asked for";
    case errc::bad_status: return "The HTTP status or content type cannot be used here";
    case errc::unsupported: return "This build of weir or libcurl cannot do what was asked for";
    case errc::resource_exhausted: return "The system ran out of file descriptors or threads";
    case errc::would_deadlock: return "The call would wait on a thread that must not wait";
  }
  return code == errc{} ? "No error" : "Unknown error";
}

class Category final : public std::error_category {
 public:
  const char* name() const noexcept override { return "weir"; }
  std::string message(int code) const override { return sentence(static_cast<errc>(code)); }

  // Only where the meanings are the same: connection_lost, say, is not always a reset.
  std::error_condition default_error_condition(int code) const noexcept override {
    switch (static_cast<errc>(code)) {
      case errc::invalid_argument: return std::errc::invalid_argument;
      case errc::protocol_error: return std::errc::protocol_error;
      case errc::timed_out: return std::errc::timed_out;
      case errc::aborted: return std::errc::operation_canceled;
      case errc::unsupported: return std::errc::not_supported;
      case errc::would_deadlock: return std::errc::resource_deadlock_would_occur;
      default: return {code, *this};
    }
  }
};

// Never destroyed, since error codes may be read while the process exits.
union CategoryStorage {
  constexpr CategoryStorage() noexcept : category() {}
  ~CategoryStorage() {}
  Category category;
};
constinit CategoryStorage storage;

std::string describe(const Failure& failure) {
  std::string text = sentence(failure.code);
  if (!failure.detail.empty()) text.append(": ").append(failure.detail);
  return text;
}

}  // namespace

const std::error_category& error_category() noexcept { return storage.category; }

std::error_code make_error_code(errc code) noexcept {
  return {static_cast<int>(code), error_category()};
}

Error::Error(Failure failure) : std::system_error(make_error_code(failure.code)) {
  failure.url = detail::without_credentials(failure.url);
  auto what = describe(failure);
  state_ = std::make_shared<const State>(State{std::move(failure), std::move(what)});
}

Error::~Error() = default;

const char* Error::what() const noexcept { return state_->what.c_str(); }

}  // namespace weir
