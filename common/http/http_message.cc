#include "common/http/http_message.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace penstock {
namespace {

// More than any client of ours sends.
constexpr size_t kMaxHeaders = 100;

absl::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 421:
      return "Misdirected Request";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Internal Server Error";
  }
}

bool IsTokenChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos;
}

bool IsToken(absl::string_view text) {
  for (const char c : text) {
    if (!IsTokenChar(c)) return false;
  }
  return !text.empty();
}

// Tabs and bytes beyond ASCII may stand in a value; other control characters may not.
bool IsValue(absl::string_view text) {
  for (const char c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c)) && c != '\t') return false;
  }
  return true;
}

bool IsTarget(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return absl::StartsWith(text, "/");
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = absl::ascii_tolower(static_cast<unsigned char>(c));
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// What is no escape stays as it is.
std::string Unescape(absl::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    const int high = i + 2 < text.size() && text[i] == '%' ? HexDigit(text[i + 1]) : -1;
    const int low = high >= 0 ? HexDigit(text[i + 2]) : -1;
    if (low >= 0) {
      plain.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      plain.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return plain;
}

absl::Status ParseHeader(absl::string_view line, HttpRequest& request) {
  const size_t colon = line.find(':');
  // A name with a space before its colon, or a folded line, is read in two ways by two readers.
  if (colon == absl::string_view::npos || !IsToken(line.substr(0, colon))) {
    return absl::InvalidArgumentError("wanted headers of the form `Name: value`");
  }
  const absl::string_view value = absl::StripAsciiWhitespace(line.substr(colon + 1));
  if (!IsValue(value)) return absl::InvalidArgumentError("wanted no control character in a header");
  if (request.headers.size() >= kMaxHeaders) {
    return absl::InvalidArgumentError(absl::StrCat("wanted at most ", kMaxHeaders, " headers"));
  }
  request.headers.emplace_back(absl::AsciiStrToLower(line.substr(0, colon)), std::string(value));
  return absl::OkStatus();
}

absl::Status CheckHeaders(const HttpRequest& request) {
  int hosts = 0;
  for (const auto& [name, value] : request.headers) {
    if (name == "host") ++hosts;
    const bool body = name == "transfer-encoding" || (name == "content-length" && value != "0");
    if (body) return absl::InvalidArgumentError("wanted a request without a body");
  }
  if (hosts > 1) return absl::InvalidArgumentError("wanted one Host");
  return absl::OkStatus();
}

}  // namespace

absl::string_view HttpRequest::Header(absl::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return "";
}

std::string HttpRequest::Parameter(absl::string_view name) const {
  for (const absl::string_view pair : absl::StrSplit(query, '&')) {
    const size_t equals = pair.find('=');
    if (Unescape(pair.substr(0, equals)) != name) continue;
    return equals == absl::string_view::npos ? "" : Unescape(pair.substr(equals + 1));
  }
  return "";
}

size_t HttpHeadEnd(absl::string_view received) {
  const size_t end = received.find("\r\n\r\n");
  return end == absl::string_view::npos ? end : end + 4;
}

absl::StatusOr<HttpRequest> ParseHttpHead(absl::string_view head) {
  const std::vector<absl::string_view> lines = absl::StrSplit(head, "\r\n");
  const std::vector<absl::string_view> words = absl::StrSplit(lines[0], ' ');
  if (words.size() != 3 || !IsToken(words[0]) || !IsTarget(words[1]) ||
      (words[2] != "HTTP/1.1" && words[2] != "HTTP/1.0")) {
    return absl::InvalidArgumentError("wanted `METHOD /PATH HTTP/1.1`");
  }
  HttpRequest request;
  request.method = std::string(words[0]);
  const absl::string_view target = words[1].substr(0, words[1].find('#'));
  const size_t question = target.find('?');
  request.path = std::string(target.substr(0, question));
  if (question != absl::string_view::npos) request.query = std::string(target.substr(question + 1));
  for (size_t i = 1; i < lines.size() && !lines[i].empty(); ++i) {
    if (const absl::Status status = ParseHeader(lines[i], request); !status.ok()) return status;
  }
  if (const absl::Status status = CheckHeaders(request); !status.ok()) return status;
  return request;
}

std::string FormatHttpResponse(const HttpResponse& response, bool with_body) {
  std::string text = absl::StrCat("HTTP/1.1 ", response.status, " ", ReasonOf(response.status),
                                  "\r\nContent-Type: ", response.content_type,
                                  "\r\nContent-Length: ", response.body.size(), "\r\n");
  for (const auto& [name, value] : response.headers) {
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  absl::StrAppend(&text, "Connection: close\r\n\r\n", with_body ? response.body : "");
  return text;
}

}  // namespace penstock
