#pragma once

#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace penstock {

// A command as it goes over the wire.
class RedisCommand {
 public:
  explicit RedisCommand(absl::Span<const absl::string_view> arguments);
  RedisCommand(std::initializer_list<absl::string_view> arguments)
      : RedisCommand(absl::MakeConstSpan(arguments.begin(), arguments.size())) {}

  absl::string_view wire() const { return {wire_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* wire) const { std::free(wire); }
  };

  std::unique_ptr<char, Free> wire_;
  size_t size_ = 0;
};

// A Lua script, which the server keeps by its digest. All of ours touch one key alone.
struct RedisScript {
  explicit RedisScript(std::string text);

  // EVALSHA; EVAL where the server has not met the script.
  RedisCommand ByDigest(absl::string_view key, absl::Span<const std::string> arguments) const;
  RedisCommand ByText(absl::string_view key, absl::Span<const std::string> arguments) const;

  const std::string text;
  const std::string digest;  // SHA-1 in hexadecimal
};

}  // namespace penstock
