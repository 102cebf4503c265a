#include <cstdlib>
#include <deque>
#include <string>

#include "absl/strings/string_view.h"
#include "common/store/redis/redis_reply.h"

namespace {

// Elements of a whole reply, itself included; a hole in it is our bug.
size_t Count(const penstock::RedisReply& reply) {
  size_t count = 1;
  for (const auto& element : reply.elements) {
    if (element == nullptr) std::abort();
    count += Count(*element);
  }
  return count;
}

}  // namespace

// What a server sends, in pieces of a size that the first byte chooses. Cut elsewhere, it must mean
// the same; and what is made of a reply must be a value or an error that says something.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostBytes = 4096;
  constexpr size_t kMostElements = 64;
  if (size == 0) return 0;
  const absl::string_view wire(reinterpret_cast<const char*>(data) + 1, size - 1);
  penstock::RedisReplyReader whole_reader(kMostBytes, kMostElements);
  std::deque<penstock::RedisReply> whole;
  const absl::Status status = whole_reader.Feed(wire, whole);
  if (!status.ok() && status.message().empty()) std::abort();

  penstock::RedisReplyReader piece_reader(kMostBytes, kMostElements);
  std::deque<penstock::RedisReply> pieces;
  const size_t piece = 1 + data[0] % 32;
  absl::Status piece_status;
  for (size_t at = 0; at < wire.size() && piece_status.ok(); at += piece) {
    piece_status = piece_reader.Feed(wire.substr(at, piece), pieces);
  }
  // In small pieces the bound on bytes may be met earlier, and only that.
  if (wire.size() <= kMostBytes &&
      (pieces.size() != whole.size() || piece_status.ok() != status.ok())) {
    std::abort();
  }

  for (penstock::RedisReply& reply : whole) {
    if (Count(reply) > kMostElements + 1) std::abort();
    const bool is_error = reply.type == penstock::RedisReply::Type::kError;
    if (penstock::RedisReplyStatus(reply).ok() == is_error) std::abort();
    const absl::Status made[] = {
        penstock::FieldsOf(reply).status(), penstock::LeaseHolderOf(reply).status(),
        penstock::BudgetGrantOf(reply).status(), penstock::TextOf(std::move(reply)).status()};
    for (const absl::Status& one : made) {
      if (one.ok() ? is_error : one.message().empty()) std::abort();
    }
  }
  return 0;
}
