#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>
#include <string>
#include <vector>

#include "h2_client.hpp"
#include "json.hpp"
#include "program.hpp"

using namespace weir::harness::test;

namespace {

/// `weir-harness serve`, which has said where it is.
class Serving {
 public:
  explicit Serving(std::vector<std::string> args) {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    args.insert(args.begin(), "serve");
    program_.emplace(std::move(args), ("/proc/self/fd/" + std::to_string(ends_[1])).c_str());
    std::string line;
    std::array<char, 4096> piece{};
    while (line.empty() || line.back() != '\n') {
      pollfd readable{ends_[0], POLLIN, 0};
      if (::poll(&readable, 1, 20'000) != 1) throw std::runtime_error("serve says nothing");
      const ssize_t size = ::read(ends_[0], piece.data(), piece.size());
      line.append(piece.data(), size > 0 ? static_cast<std::size_t>(size) : 0);
    }
    line.pop_back();
    said_ = Json::parse(line);
  }
  ~Serving() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Serving(const Serving&) = delete;
  Serving& operator=(const Serving&) = delete;

  std::string url() const { return said_["url"].text(); }
  std::uint16_t port() const {
    return static_cast<std::uint16_t>(std::stoul(url().substr(url().rfind(':') + 1)));
  }
  std::string ca_pem() const { return said_["ca"].is_null() ? "" : said_["ca"].text(); }
  Finished stop() {
    program_->send(SIGTERM);
    return program_->wait();
  }

 private:
  std::array<int, 2> ends_{};
  std::optional<Program> program_;
  Json said_;
};

}  // namespace

TEST_SUITE("harness") {
  TEST_CASE("serve: speaks HTTP/1.1 alone unless it is told otherwise") {
    Serving serving({});
    CHECK(serving.url().starts_with("http://127.0.0.1:"));
    CHECK(serving.ca_pem().empty());
    RawClient one(serving.port());
    CHECK(one.fetch("/bytes/9").body.size() == 9);
    RawClient two(serving.port());
    REQUIRE(two.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    CHECK(two.rest().starts_with("HTTP/1.1 505"));
    CHECK(serving.stop().code == 0);
  }

  TEST_CASE("serve: speaks HTTP/2 too, plain and over TLS, with --http2") {
    for (const bool tls : {false, true}) {
      std::vector<std::string> args = {"--http2", "--port=0"};
      if (tls) args.emplace_back("--tls");
      Serving serving(args);
      H2Client client(serving.port(), serving.ca_pem());
      CHECK(client.fetch("/bytes/9").body.size() == 9);
      CHECK(client.fetch("/stats").body.find("\"http2_connections\":1") != std::string::npos);
      CHECK(serving.stop().code == 0);
    }
  }

  TEST_CASE("serve: sends PINGs and cuts who does not answer, as it is told") {
    Serving serving({"--http2", "--ping-interval", "0.005", "--ping-timeout=0.02"});
    H2Manners manners;
    manners.answers_pings = false;
    H2Client mute(serving.port(), "", manners);
    mute.request("/hang");
    CHECK_FALSE(mute.run_until([] { return false; }));
    CHECK(mute.pings() == 1);
    CHECK(mute.goaways().size() == 1);
    CHECK(serving.stop().code == 0);
  }

  TEST_CASE("serve: a bad command line is exit code 2 and a line that says why") {
    struct Row {
      std::vector<std::string> args;
      const char* why;
    };
    for (const Row& row : {Row{{"serve", "--port", "65536"}, "--port"},
                           Row{{"serve", "--ping-interval", "often"}, "--ping-interval"},
                           Row{{"serve", "--http3"}, "--http3"}, Row{{"serve", "--tls=1"}, "--tls"},
                           Row{{"serve", "here"}, "here"}}) {
      CAPTURE(row.why);
      const Finished finished = run_program(row.args);
      CHECK(finished.code == 2);
      CHECK(finished.out.empty());
      CHECK(finished.err.find(row.why) < finished.err.find('\n'));
    }
    const Finished helped = run_program({"serve", "--help"});
    CHECK(helped.code == 0);
    CHECK(helped.out.starts_with("usage: weir-harness serve"));
  }
}
