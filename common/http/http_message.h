#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace penstock {

// A request's head, as far as our ports need it.
struct HttpRequest {
  std::string method;
  std::string path;   // without the query, as it came: escapes stay
  std::string query;  // behind the '?'
  // Names in lower case, in the order in which they came.
  std::vector<std::pair<std::string, std::string>> headers;
  // It came to an address that this machine alone reaches.
  bool to_loopback = false;
  std::string peer;  // HOST:PORT that it came from

  // The first of that name, or empty.
  absl::string_view Header(absl::string_view name) const;
  // The first value of a parameter of the query, escapes and '+' undone; or empty.
  std::string Parameter(absl::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

// The end of the head in what has come so far, behind its empty line; npos while it is open.
size_t HttpHeadEnd(absl::string_view received);
// INVALID_ARGUMENT says what was wanted. Bodies are not taken.
absl::StatusOr<HttpRequest> ParseHttpHead(absl::string_view head);
// As it goes over the wire; the connection ends with it.
std::string FormatHttpResponse(const HttpResponse& response, bool with_body);

}  // namespace penstock
