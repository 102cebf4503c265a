#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/store/store.h"

struct redisReader;

namespace penstock {

struct RedisReply {
  enum class Type { kNil, kInteger, kText, kStatus, kError, kArray };

  Type type = Type::kNil;
  int64_t integer = 0;
  std::string text;                                   // of kText, kStatus, kError
  std::vector<std::unique_ptr<RedisReply>> elements;  // none is null in a whole reply

  bool IsError(absl::string_view code) const;
};

// Cuts a stream of bytes into replies, within bounds.
class RedisReplyReader {
 public:
  // `max_bytes`: of one reply, its elements together. `max_elements`: likewise.
  explicit RedisReplyReader(size_t max_bytes, size_t max_elements = 65'536);
  ~RedisReplyReader();
  RedisReplyReader(const RedisReplyReader&) = delete;
  RedisReplyReader& operator=(const RedisReplyReader&) = delete;

  // Appends the replies that are whole. After an error, which says what is wrong with the stream,
  // nothing more may be fed.
  absl::Status Feed(absl::string_view bytes, std::deque<RedisReply>& replies);

 private:
  friend struct RedisReplyFactory;

  absl::Status FeedPiece(absl::string_view bytes, std::deque<RedisReply>& replies);

  const size_t max_bytes_;
  const size_t max_elements_;
  size_t bytes_ = 0;     // fed since the last whole reply
  size_t elements_ = 0;  // of the reply under way
  bool too_many_ = false;
  redisReader* reader_;
};

// What a reply means to the caller of a store. OK unless it is an error.
absl::Status RedisReplyStatus(const RedisReply& reply);
// INTERNAL where the reply is of another shape; errors as above.
absl::StatusOr<std::optional<std::string>> TextOf(RedisReply reply);
absl::StatusOr<StoreFields> FieldsOf(const RedisReply& reply);
absl::StatusOr<LeaseHolder> LeaseHolderOf(const RedisReply& reply);
absl::StatusOr<BudgetGrant> BudgetGrantOf(const RedisReply& reply);

}  // namespace penstock
