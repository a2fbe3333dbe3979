#include "weir/body.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include "api/memory_stream.hpp"
#include "weir/error.hpp"

namespace weir {
namespace {

// A Content-Length is only a claim: more than this is allocated when as much has arrived.
constexpr std::size_t kTrusted = std::size_t{1} << 20;  // bytes
constexpr std::size_t kAnySize = std::numeric_limits<std::size_t>::max();

std::unique_ptr<detail::Stream> in_memory(std::string text) {
  return std::make_unique<detail::MemoryStream>(std::move(text));
}

std::string as_text(const std::vector<std::byte>& bytes) {
  std::string text(bytes.size(), '\0');
  std::transform(bytes.begin(), bytes.end(), text.begin(),
                 [](std::byte byte) { return static_cast<char>(byte); });
  return text;
}

void append(std::string& all, const Chunk& chunk) { all.append(chunk.text()); }
void append(std::vector<std::byte>& all, const Chunk& chunk) {
  all.insert(all.end(), chunk.bytes().begin(), chunk.bytes().end());
}

/// Makes room as append() would, but never for more than `most` bytes unless they are there.
template <class Buffer>
void make_room(Buffer& all, std::size_t count, std::size_t most) {
  const std::size_t needed = all.size() + count;
  if (needed > all.capacity()) all.reserve(std::max(needed, std::min(most, 2 * all.capacity())));
}

class WholeBody {
 public:
  WholeBody(detail::Stream& stream, std::size_t limit, const char* name)
      : stream_(stream), limit_(limit), name_(name) {}

  template <class Buffer>
  Buffer read() {
    try {
      return collect<Buffer>();
    } catch (...) {
      stream_.cancel();
      throw;
    }
  }

 private:
  template <class Buffer>
  Buffer collect() {
    const auto length = stream_.length();
    if (length && *length > limit_) refuse("Content-Length " + std::to_string(*length));
    const auto most = length ? static_cast<std::size_t>(*length) : limit_;
    stream_.expect_whole();
    Buffer all;
    if (length) all.reserve(std::min(most, kTrusted));
    while (auto result = stream_.pull(kAnySize, flow::Wait::for_ever())) {
      const std::size_t count = result.chunk.size();
      if (count > limit_ - all.size()) refuse(std::to_string(all.size() + count) + " bytes");
      make_room(all, count, most);
      append(all, result.chunk);
    }
    return all;
  }

  [[noreturn]] void refuse(const std::string& seen) const {
    throw Error(stream_.failure(
        errc::too_large, std::string(name_) + "(limit = " + std::to_string(limit_) + "): " + seen));
  }

  detail::Stream& stream_;
  std::size_t limit_;
  const char* name_;
};

}  // namespace

Body::Body() noexcept = default;
Body::Body(std::string text) : stream_(in_memory(std::move(text))) {}
Body::Body(const char* text) : stream_(text != nullptr ? in_memory(text) : nullptr) {}
Body::Body(std::vector<std::byte> bytes) : stream_(in_memory(as_text(bytes))) {}
Body::Body(std::unique_ptr<detail::Stream> stream) noexcept : stream_(std::move(stream)) {}

// What had no body still has none.
Body::Body(Body&& other) noexcept
    : stream_(std::move(other.stream_)),
      used_(std::exchange(other.used_, other.used_ || stream_)) {}

Body& Body::operator=(Body&& other) noexcept {
  Body taken(std::move(other));
  std::swap(stream_, taken.stream_);
  std::swap(used_, taken.used_);
  return *this;
}

Body::~Body() = default;

detail::Stream& Body::take() {
  if (used_) {
    const std::string detail = "reader(), text() or bytes() was called, or the Body moved";
    throw Error(stream_ ? stream_->failure(errc::body_used, detail)
                        : Failure{.code = errc::body_used, .detail = detail});
  }
  if (!stream_) stream_ = in_memory({});
  used_ = true;
  return *stream_;
}

Reader Body::reader() {
  take();
  return Reader(std::move(stream_));
}

std::string Body::text(std::size_t limit) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  auto text = WholeBody(take(), limit, "text").read<std::string>();
  if (std::string_view(text).starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  return text;
}

std::vector<std::byte> Body::bytes(std::size_t limit) {
  return WholeBody(take(), limit, "bytes").read<std::vector<std::byte>>();
}

void Body::cancel() noexcept {
  if (stream_) stream_->cancel();
}

bool Body::used() const noexcept { return used_; }

std::optional<std::uint64_t> Body::length() const noexcept {
  return stream_ ? stream_->length() : std::nullopt;
}

BodyStats Body::stats() const noexcept { return stream_ ? stream_->stats() : BodyStats(); }

}  // namespace weir
