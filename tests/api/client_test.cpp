#include <doctest/doctest.h>

#include <future>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/client_state.hpp"
#include "api/scripted_stream.hpp"
#include "support/fake_driver.hpp"
#include "weir/weir.hpp"

using namespace weir;
using namespace weir::test;

namespace {

static_assert(!std::is_copy_constructible_v<Client> && !std::is_move_constructible_v<Client>);
static_assert(!std::is_copy_assignable_v<Client> && !std::is_move_assignable_v<Client>);
static_assert(std::is_move_constructible_v<Response> && !std::is_copy_constructible_v<Response>);

constexpr const char* kUrl = "http://user:secret@localhost/path?query";
constexpr const char* kShown = "http://localhost/path?query";

/// A Client whose server is the test.
struct Fixture {
  explicit Fixture(const ClientOptions& options = {}) {
    auto owned = std::make_unique<FakeDriver>();
    driver = owned.get();
    client.reset(new Client(detail::ClientAccess::make(
        std::make_unique<detail::ClientState>(std::move(owned), options))));
  }

  /// Fetches on another thread; the test answers meanwhile.
  std::future<Response> fetch(RequestInit init = {}) {
    return std::async(std::launch::async, [this, init = std::move(init)]() mutable {
      return client->fetch(kUrl, std::move(init));
    });
  }
  Response fetch_answered(const std::string& body, RequestInit init = {}) {
    auto pending = fetch(std::move(init));
    FakeTransfer& transfer = driver->next();
    transfer.head(200);
    transfer.send(body);
    transfer.end();
    driver->run_until_idle();
    return pending.get();
  }

  FakeDriver* driver;  // the client's
  std::unique_ptr<Client> client;
};

template <class Call>
Error error_of(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  FAIL("nothing was thrown");
  return Error(Failure{});
}

}  // namespace

TEST_SUITE("api") {
  TEST_CASE("Client: hands the driver a complete request") {
    Fixture fixture({.headers = {{"A", "1"}}});
    auto pending = fixture.fetch({.headers = {{"B", "2"}}, .body = "text"});
    FakeTransfer& transfer = fixture.driver->next();
    const net::Request& request = transfer.request();
    CHECK(request.method == "POST");
    CHECK(request.url == kUrl);
    CHECK(request.headers == Headers{{"A", "1"},
                                     {"User-Agent", "weir/0.1"},
                                     {"B", "2"},
                                     {"Accept-Encoding", "gzip, deflate, br, zstd"}});
    CHECK(request.has_body);
    CHECK(request.body == "text");
    CHECK(request.headers_timeout == milliseconds(300'000));
    CHECK(request.idle_timeout == milliseconds(300'000));
    CHECK(request.total_timeout == milliseconds(0));
    CHECK(request.consumer_timeout == milliseconds(0));
    transfer.head(204);
    fixture.driver->run_until_idle();
    CHECK(pending.get().status == 204);
    CHECK(fixture.client->stats().requests == 1);
  }

  TEST_CASE("Client: fetch() returns at the head, with the body still to come") {
    Fixture fixture;
    auto pending = fixture.fetch();
    FakeTransfer& transfer = fixture.driver->next();
    transfer.head(418, {{"Server", "x"}}, 3);
    fixture.driver->run_until_idle();
    Response response = pending.get();
    CHECK(response.status == 418);
    CHECK(!response.ok());
    CHECK(response.headers == Headers{{"Server", "x"}});
    CHECK(response.version == HttpVersion::http1);
    CHECK(!response.redirected);
    CHECK(response.body.length() == 3);
    Reader reader = response.body.reader();
    CHECK(reader.try_read().status == ReadStatus::pending);
    transfer.send("abc", true);
    CHECK(reader.try_read().chunk.text() == "abc");
    CHECK(reader.try_read().status == ReadStatus::pending);
    transfer.end();
    CHECK(reader.try_read().status == ReadStatus::end);
  }

  TEST_CASE("Client: every error of a fetch has its URL, without credentials") {
    Fixture fixture;
    Client& client = *fixture.client;
    const auto check = [](const Error& error) {
      CHECK(error.url() == kShown);
      CHECK(std::string(error.what()).find("secret") == std::string::npos);
    };
    SUBCASE("refused requests, which are not started") {
      check(error_of([&] { client.fetch(kUrl, {.method = "?"}); }));
      check(error_of([&] { client.fetch(kUrl, {.high_water = 1, .low_water = 1}); }));
      check(error_of([&] { client.fetch(kUrl, {.version = HttpVersion::http3}); }));
      check(error_of([&] { client.fetch(kUrl, {.headers = {{"TE", "x"}}}); }));
      const Error error = error_of([&] { client.fetch("ftp://user:secret@localhost/"); });
      CHECK(error.url() == "ftp://localhost/");
      CHECK(!fixture.driver->has_next());
    }
    SUBCASE("failures of the transport") {
      auto pending = fixture.fetch();
      fixture.driver->next().fail({.code = errc::connect_failed, .retryable = true});
      fixture.driver->run_until_idle();
      const Error error = error_of([&] { pending.get(); });
      check(error);
      CHECK(error.code() == errc::connect_failed);
      CHECK(error.retryable());
    }
  }

  TEST_CASE("Client: too_large of a body knows its URL, status and size, and cancels") {
    Fixture fixture;
    auto pending = fixture.fetch();
    FakeTransfer& transfer = fixture.driver->next();
    transfer.head(200);
    transfer.send("abc");
    fixture.driver->run_until_idle();
    Response response = pending.get();
    const Error error = error_of([&] { response.body.text(2); });
    CHECK(error.code() == errc::too_large);
    CHECK(error.url().starts_with("http://"));
    CHECK(error.url().find("secret") == std::string::npos);
    CHECK(error.status() == 200);
    CHECK(error.bytes_received() == 3);
    fixture.driver->run_until_idle();
    CHECK(transfer.cancelled() == 1);
  }

  TEST_CASE("Client: a stop that was requested before starts nothing") {
    Fixture fixture;
    std::stop_source stop;
    stop.request_stop();
    const auto error = error_of([&] { fixture.client->fetch(kUrl, {.stop = stop.get_token()}); });
    CHECK(error.code() == errc::aborted);
    CHECK(!fixture.driver->has_next());
  }

  TEST_CASE("Client: a stop ends the wait for the head, and the transfer") {
    Fixture fixture;
    std::stop_source stop;
    auto pending = fixture.fetch({.stop = stop.get_token()});
    FakeTransfer& transfer = fixture.driver->next();
    stop.request_stop();
    const Error error = error_of([&] { pending.get(); });
    CHECK(error.code() == errc::aborted);
    CHECK(error.url() == kShown);
    fixture.driver->run_until_idle();
    CHECK(transfer.cancelled() == 1);
  }

  TEST_CASE("Client: dropping a Response cancels its transfer, taken or not") {
    Fixture fixture;
    auto pending = fixture.fetch();
    FakeTransfer& transfer = fixture.driver->next();
    transfer.head(200);
    fixture.driver->run_until_idle();
    std::optional<Response> response(pending.get());
    SUBCASE("untaken") { response.reset(); }
    SUBCASE("taken") {
      std::optional<Reader> reader(response->body.reader());
      response.reset();
      fixture.driver->run_until_idle();
      CHECK(transfer.cancelled() == 0);
      reader.reset();
    }
    SUBCASE("moved") {
      std::optional<Response> other(std::move(*response));
      response.reset();
      fixture.driver->run_until_idle();
      CHECK(transfer.cancelled() == 0);
      other.reset();
    }
    fixture.driver->run_until_idle();
    CHECK(transfer.cancelled() == 1);
  }

  TEST_CASE("Client: its destruction aborts a fetch that waits, and bodies under way") {
    Fixture fixture;
    auto waiting = fixture.fetch();
    fixture.driver->next();
    auto pending = fixture.fetch();
    FakeTransfer& transfer = fixture.driver->next();
    transfer.head(200);
    transfer.send("abc");
    fixture.driver->run_until_idle();
    Response response = pending.get();
    fixture.client.reset();
    CHECK(error_of([&] { waiting.get(); }).code() == errc::aborted);
    Reader reader = response.body.reader();
    CHECK(code_of([&] {
            while (reader.read()) {
            }
          }) == errc::aborted);
  }

  TEST_CASE("Client: what was complete when it was destroyed is still read") {
    Fixture fixture;
    Response response = fixture.fetch_answered("abc");
    fixture.client.reset();
    CHECK(response.text() == "abc");
  }

  TEST_CASE("Client: contradicting options are refused when it is made") {
    CHECK(code_of([] { Client({.high_water = 10, .low_water = 10}); }) == errc::invalid_argument);
    CHECK(code_of([] { Client({.max_header_fields = -1}); }) == errc::invalid_argument);
    CHECK(code_of([] { Fixture({.memory_budget = 0}); }) == errc::invalid_argument);
  }
}
