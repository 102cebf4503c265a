#include "common/store/redis/redis_reply.h"

#include <hiredis/read.h>

#include <algorithm>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/status_macros.h"

namespace penstock {
namespace {

// The reader moves what it has not consumed down after every reply: small pieces keep that cheap.
constexpr size_t kPieceBytes = 16 * 1024;
// Of a server's text in our messages.
constexpr size_t kMostQuoted = 200;

std::string Quoted(absl::string_view text) { return absl::CHexEscape(text.substr(0, kMostQuoted)); }

absl::Status Unexpected(absl::string_view wanted, const RedisReply& reply) {
  if (reply.type == RedisReply::Type::kError) return RedisReplyStatus(reply);
  return absl::InternalError(absl::StrCat("store: the server answered with a reply of type ",
                                          static_cast<int>(reply.type), ", wanted ", wanted));
}

bool IsArrayOf(const RedisReply& reply, size_t size) {
  return reply.type == RedisReply::Type::kArray && reply.elements.size() == size;
}

}  // namespace

// What the reader calls to make replies. A part belongs to its parent as soon as it is made, so the
// root alone is ever freed.
struct RedisReplyFactory {
  static RedisReplyReader& Owner(const redisReadTask* task) {
    return *static_cast<RedisReplyReader*>(task->privdata);
  }
  static RedisReply* Place(const redisReadTask* task, std::unique_ptr<RedisReply> reply) {
    RedisReply* const made = reply.release();
    if (task->parent != nullptr) {
      static_cast<RedisReply*>(task->parent->obj)->elements[task->idx].reset(made);
    }
    return made;
  }
  static void* Text(const redisReadTask* task, char* text, size_t size) {
    auto reply = std::make_unique<RedisReply>();
    reply->type = task->type == REDIS_REPLY_ERROR    ? RedisReply::Type::kError
                  : task->type == REDIS_REPLY_STATUS ? RedisReply::Type::kStatus
                                                     : RedisReply::Type::kText;
    reply->text.assign(text, size);
    return Place(task, std::move(reply));
  }
  static void* Array(const redisReadTask* task, int elements) {
    RedisReplyReader& owner = Owner(task);
    const size_t size = static_cast<size_t>(std::max(elements, 0));
    // A few bytes on the wire may promise billions.
    if (size > owner.max_elements_ - owner.elements_) {
      owner.too_many_ = true;
      return nullptr;
    }
    owner.elements_ += size;
    auto reply = std::make_unique<RedisReply>();
    reply->type = RedisReply::Type::kArray;
    reply->elements.resize(size);
    return Place(task, std::move(reply));
  }
  static void* Integer(const redisReadTask* task, long long value) {
    auto reply = std::make_unique<RedisReply>();
    reply->type = RedisReply::Type::kInteger;
    reply->integer = value;
    return Place(task, std::move(reply));
  }
  static void* Nil(const redisReadTask* task) {
    return Place(task, std::make_unique<RedisReply>());
  }
  static void Free(void* reply) { delete static_cast<RedisReply*>(reply); }
};

bool RedisReply::IsError(absl::string_view code) const {
  absl::string_view rest = text;
  return type == Type::kError && absl::ConsumePrefix(&rest, code) &&
         (rest.empty() || rest.front() == ' ');
}

RedisReplyReader::RedisReplyReader(size_t max_bytes, size_t max_elements)
    : max_bytes_(max_bytes), max_elements_(max_elements) {
  static redisReplyObjectFunctions functions = {
      .createString = &RedisReplyFactory::Text,
      .createArray = &RedisReplyFactory::Array,
      .createInteger = &RedisReplyFactory::Integer,
      .createNil = &RedisReplyFactory::Nil,
      .freeObject = &RedisReplyFactory::Free,
  };
  reader_ = redisReaderCreateWithFunctions(&functions);
  if (reader_ != nullptr) reader_->privdata = this;
}

RedisReplyReader::~RedisReplyReader() {
  if (reader_ != nullptr) redisReaderFree(reader_);
}

absl::Status RedisReplyReader::Feed(absl::string_view bytes, std::deque<RedisReply>& replies) {
  if (reader_ == nullptr) return absl::ResourceExhaustedError("store: no memory for a reader");
  while (!bytes.empty()) {
    PENSTOCK_RETURN_IF_ERROR(FeedPiece(bytes.substr(0, kPieceBytes), replies));
    bytes.remove_prefix(std::min(kPieceBytes, bytes.size()));
  }
  return absl::OkStatus();
}

absl::Status RedisReplyReader::FeedPiece(absl::string_view bytes, std::deque<RedisReply>& replies) {
  bytes_ += bytes.size();
  if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != 0) {
    return absl::UnavailableError(absl::StrCat("store: bad reply: ", reader_->errstr));
  }
  for (;;) {
    void* whole = nullptr;
    if (redisReaderGetReply(reader_, &whole) != 0) {
      if (too_many_) {
        return absl::UnavailableError(
            absl::StrCat("store: bad reply: more than ", max_elements_, " elements"));
      }
      return absl::UnavailableError(absl::StrCat("store: bad reply: ", reader_->errstr));
    }
    if (whole == nullptr) break;
    const std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(whole));
    replies.push_back(std::move(*reply));
    elements_ = 0;
    bytes_ = reader_->len - reader_->pos;
  }
  if (bytes_ > max_bytes_) {
    return absl::UnavailableError(
        absl::StrCat("store: bad reply: longer than ", max_bytes_, " bytes"));
  }
  return absl::OkStatus();
}

absl::Status RedisReplyStatus(const RedisReply& reply) {
  if (reply.type != RedisReply::Type::kError) return absl::OkStatus();
  const std::string message = absl::StrCat("store: ", Quoted(reply.text));
  for (const absl::string_view code : {"OOM", "FULL"}) {
    if (reply.IsError(code)) return absl::ResourceExhaustedError(message);
  }
  if (reply.IsError("RANGE")) return absl::OutOfRangeError(message);
  for (const absl::string_view code :
       {"READONLY", "LOADING", "MASTERDOWN", "BUSY", "NOREPLICAS", "MISCONF", "TRYAGAIN"}) {
    if (reply.IsError(code)) return absl::UnavailableError(message);
  }
  for (const absl::string_view code : {"NOAUTH", "WRONGPASS", "NOPERM"}) {
    if (reply.IsError(code)) return absl::PermissionDeniedError(message);
  }
  if (reply.IsError("WRONGTYPE")) return absl::FailedPreconditionError(message);
  return absl::InternalError(message);
}

absl::StatusOr<std::optional<std::string>> TextOf(RedisReply reply) {
  if (reply.type == RedisReply::Type::kNil) return std::nullopt;
  if (reply.type != RedisReply::Type::kText) return Unexpected("a text", reply);
  return std::move(reply.text);
}

absl::StatusOr<StoreFields> FieldsOf(const RedisReply& reply) {
  if (reply.type != RedisReply::Type::kArray || reply.elements.size() % 2 != 0) {
    return Unexpected("fields and values", reply);
  }
  StoreFields fields;
  for (size_t i = 0; i < reply.elements.size(); i += 2) {
    const RedisReply& field = *reply.elements[i];
    const RedisReply& text = *reply.elements[i + 1];
    int64_t value = 0;
    if (field.type != RedisReply::Type::kText || text.type != RedisReply::Type::kText ||
        !absl::SimpleAtoi(text.text, &value)) {
      return absl::InternalError(absl::StrCat("store: field '", Quoted(field.text), "' holds '",
                                              Quoted(text.text), "', wanted an integer"));
    }
    fields.emplace(field.text, value);
  }
  return fields;
}

absl::StatusOr<LeaseHolder> LeaseHolderOf(const RedisReply& reply) {
  if (!IsArrayOf(reply, 2) || reply.elements[0]->type != RedisReply::Type::kInteger ||
      reply.elements[1]->type != RedisReply::Type::kText) {
    return Unexpected("whether the lease is held, and by whom", reply);
  }
  return LeaseHolder{.held = reply.elements[0]->integer == 1, .owner = reply.elements[1]->text};
}

absl::StatusOr<BudgetGrant> BudgetGrantOf(const RedisReply& reply) {
  BudgetGrant grant;
  if (!IsArrayOf(reply, 2) || !absl::SimpleAtoi(reply.elements[0]->text, &grant.granted) ||
      !absl::SimpleAtoi(reply.elements[1]->text, &grant.taken)) {
    return Unexpected("what is granted and what is taken", reply);
  }
  return grant;
}

}  // namespace penstock
