#include <cerrno>
#include <cstdio>
#include <ios>
#include <limits>
#include <memory>
#include <ostream>
#include <system_error>
#include <utility>

#include "api/pipe_stream.hpp"
#include "api/tee.hpp"
#include "weir/body.hpp"
#include "weir/error.hpp"

namespace weir {
namespace {

constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();

/// A file that bytes are written to, none of which waits in here.
/// Thread-safety: one thread.
class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path)
      : path_(path.string()), file_(std::fopen(path_.c_str(), "wbe")) {
    if (!file_) fail();
    std::setvbuf(file_.get(), nullptr, _IONBF, 0);
  }

  void write(Bytes bytes) {
    while (!bytes.empty()) {
      const std::size_t count = std::fwrite(bytes.data(), 1, bytes.size(), file_.get());
      bytes = bytes.subspan(count);
      if (bytes.empty()) return;
      if (errno != EINTR) fail();
      std::clearerr(file_.get());
    }
  }
  void close() {
    if (std::fclose(file_.release()) != 0) fail();
  }

 private:
  struct Close {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
  };

  [[noreturn]] void fail() const { throw std::system_error(errno, std::generic_category(), path_); }

  const std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

void check(const std::ostream& out) {
  if (out) return;
  throw std::ios_base::failure("pipe_to: the stream failed", std::io_errc::stream);
}

/// Hands all of `stream` to `sink`, and calls `finish` at the end; the number of bytes.
template <class Sink, class Finish>
std::uint64_t pipe(detail::Stream& stream, std::stop_token stop, Sink sink, Finish finish) {
  const flow::Wait wait{.stop = std::move(stop)};
  std::uint64_t count = 0;
  for (;;) {
    // What never has to wait does not look at the stop.
    const bool stopped = wait.stop.stop_requested();
    const ReadResult result =
        stopped ? ReadResult{.status = ReadStatus::stopped} : stream.pull(kAnySize, wait);
    if (result.status == ReadStatus::stopped) {
      throw Error(stream.failure(errc::aborted, "pipe_to: stop was requested"));
    }
    if (!result) break;
    sink(result.chunk);
    count += result.chunk.size();
  }
  finish();
  return count;
}

/// What `call` returns; the body is cancelled if it throws.
template <class Call>
std::uint64_t or_cancel(detail::Stream& stream, Call call) {
  try {
    return call();
  } catch (...) {
    stream.cancel();
    throw;
  }
}

}  // namespace

std::pair<Body, Body> Body::tee(std::size_t lag) && {
  take();
  auto [first, second] = detail::make_tee(std::move(stream_), lag);
  return {Body(std::move(first)), Body(std::move(second))};
}

Body Body::pipe_through(std::function<Generator<Chunk>(Reader)> transform) && {
  take();
  return Body(std::make_unique<detail::PipeStream>(std::move(stream_), std::move(transform)));
}

std::uint64_t Body::pipe_to(const std::function<void(const Chunk&)>& sink,
                            std::stop_token stop) && {
  detail::Stream& stream = take();
  return or_cancel(stream, [&] { return pipe(stream, std::move(stop), sink, [] {}); });
}

std::uint64_t Body::pipe_to(std::ostream& out, std::stop_token stop) && {
  detail::Stream& stream = take();
  return or_cancel(stream, [&] {
    check(out);
    const auto write = [&out](const Chunk& chunk) {
      out.write(chunk.text().data(), static_cast<std::streamsize>(chunk.size()));
      check(out);
    };
    return pipe(stream, std::move(stop), write, [&out] { check(out.flush()); });
  });
}

std::uint64_t Body::pipe_to(const std::filesystem::path& path, std::stop_token stop) && {
  detail::Stream& stream = take();
  return or_cancel(stream, [&] {
    OutputFile file(path);
    const auto write = [&file](const Chunk& chunk) { file.write(chunk.bytes()); };
    return pipe(stream, std::move(stop), write, [&file] { file.close(); });
  });
}

}  // namespace weir
