#include "api/integrity_stream.hpp"

#include "weir/error.hpp"

namespace weir::detail {

ReadResult IntegrityStream::pull(std::size_t max, const flow::Wait& wait) {
  if (failed_) failed_.rethrow();
  ReadResult result = source_->pull(max, wait);
  if (result) integrity_.update(result.chunk.bytes());
  if (result.status == ReadStatus::end && !over_) finish();
  return result;
}

void IntegrityStream::finish() {
  over_ = true;
  try {
    if (integrity_.matches()) return;
    throw Error(failure(errc::integrity_failed, "the body is " + integrity_.found()));
  } catch (...) {
    failed_.keep_current();
    throw;
  }
}

std::unique_ptr<Stream> verified(std::unique_ptr<Stream> stream, const std::string& integrity) {
  auto metadata = IntegrityMetadata::parse(integrity);
  if (metadata.kind == IntegrityMetadata::Kind::none) return stream;
  return std::make_unique<IntegrityStream>(std::move(stream), std::move(metadata));
}

}  // namespace weir::detail
