#include "common/store/redis/redis_command.h"

#include <hiredis/hiredis.h>
#include <openssl/sha.h>

#include <new>
#include <utility>

#include "absl/strings/escaping.h"

namespace penstock {
namespace {

std::string Digest(absl::string_view text) {
  unsigned char digest[SHA_DIGEST_LENGTH];
  SHA1(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  return absl::BytesToHexString(
      absl::string_view(reinterpret_cast<const char*>(digest), sizeof(digest)));
}

RedisCommand Evaluate(absl::string_view command, absl::string_view script, absl::string_view key,
                      absl::Span<const std::string> arguments) {
  std::vector<absl::string_view> all = {command, script, "1", key};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return RedisCommand(absl::MakeConstSpan(all));
}

}  // namespace

RedisCommand::RedisCommand(absl::Span<const absl::string_view> arguments) {
  std::vector<const char*> texts;
  std::vector<size_t> sizes;
  texts.reserve(arguments.size());
  sizes.reserve(arguments.size());
  for (const absl::string_view argument : arguments) {
    // The formatter copies with memcpy, which takes no null.
    texts.push_back(argument.data() == nullptr ? "" : argument.data());
    sizes.push_back(argument.size());
  }
  char* wire = nullptr;
  const int size =
      redisFormatCommandArgv(&wire, static_cast<int>(texts.size()), texts.data(), sizes.data());
  if (size < 0) throw std::bad_alloc();  // its only failure
  wire_.reset(wire);
  size_ = static_cast<size_t>(size);
}

RedisScript::RedisScript(std::string text_in) : text(std::move(text_in)), digest(Digest(text)) {}

RedisCommand RedisScript::ByDigest(absl::string_view key,
                                   absl::Span<const std::string> arguments) const {
  return Evaluate("EVALSHA", digest, key, arguments);
}

RedisCommand RedisScript::ByText(absl::string_view key,
                                 absl::Span<const std::string> arguments) const {
  return Evaluate("EVAL", text, key, arguments);
}

}  // namespace penstock
