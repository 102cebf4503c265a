// What a stranger sends to an HTTP port. Whatever is taken has no byte that a header may not have,
// and says the same when it is written down and read again.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/http/http_message.h"

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t end = penstock::HttpHeadEnd(text);
  const auto request =
      penstock::ParseHttpHead(end == absl::string_view::npos ? text : text.substr(0, end));
  if (!request.ok()) return 0;
  request->Parameter("after");
  std::string again =
      absl::StrCat(request->method, " ", request->path, request->query.empty() ? "" : "?",
                   request->query, " HTTP/1.1\r\n");
  for (const auto& [name, value] : request->headers) {
    const absl::string_view forbidden("\r\n\0", 3);
    Require(!name.empty() &&
            absl::string_view(value).find_first_of(forbidden) == absl::string_view::npos);
    Require(request->Header(name).data() != nullptr);
    absl::StrAppend(&again, name, ": ", value, "\r\n");
  }
  const auto twice = penstock::ParseHttpHead(again + "\r\n");
  Require(twice.ok());
  Require(twice->path == request->path && twice->query == request->query);
  Require(twice->headers == request->headers);
  return 0;
}
