#include "cli/input/file_form.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"

namespace penstock::cli {
namespace {

constexpr size_t kLooked = 64 << 10;  // bytes, unpacked
constexpr absl::string_view kGzip = "\x1f\x8b";

absl::string_view Wanted(FileForm form) {
  switch (form) {
    case FileForm::kCsv:
      return "CSV with a header line";
    case FileForm::kJsonLines:
    case FileForm::kPlainJsonLines:
      return "JSON lines, an object a line";
    case FileForm::kCsvOrJsonLines:
      return "CSV with a header line, or JSON lines, an object a line";
    case FileForm::kYaml:
    case FileForm::kPlainYaml:
      return "YAML";
  }
  return "";
}

bool ReadsJson(FileForm form) {
  return form == FileForm::kJsonLines || form == FileForm::kPlainJsonLines ||
         form == FileForm::kCsvOrJsonLines;
}

// A NUL, or more other control characters than damage to a line of text would leave.
bool IsBinary(absl::string_view text) {
  constexpr size_t kOneIn = 50;
  const auto is_control = [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c)) &&
           !absl::ascii_isspace(static_cast<unsigned char>(c));
  };
  return absl::StrContains(text, '\0') ||
         static_cast<size_t>(std::count_if(text.begin(), text.end(), is_control)) * kOneIn >
             text.size();
}

std::string FirstLine(absl::string_view text) {
  constexpr size_t kMost = 40;
  const absl::string_view line = text.substr(0, std::min(text.find_first_of("\r\n"), kMost));
  return nlohmann::json(std::string(line))
      .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
}

// What came instead; empty where it may be what was wanted. `text` is unpacked, without space first.
std::string Got(absl::string_view text, FileForm form) {
  if (text.empty()) return "an empty file";
  if (absl::StartsWith(text, kGzip)) return "a gzip file within a gzip file";
  if (IsBinary(text)) return "binary data";
  if (form == FileForm::kYaml || form == FileForm::kPlainYaml) return "";
  if (text[0] == '[') {
    return absl::StrCat("a JSON array", ReadsJson(form) ? ": write its objects a line each, without [ , ]"
                                                        : "");
  }
  if (form == FileForm::kCsv) return text[0] == '{' ? "JSON" : "";
  const absl::string_view first = text.substr(0, text.find('\n'));
  if (absl::StripAsciiWhitespace(first) == "{") return "a JSON object over several lines";
  if (form == FileForm::kCsvOrJsonLines) return "";
  // Single lines may be malformed; readers count them.
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::StartsWith(absl::StripLeadingAsciiWhitespace(line), "{")) return "";
  }
  return absl::StrCat("text that begins with ", FirstLine(text));
}

}  // namespace

absl::Status CheckFileForm(absl::string_view option, const std::string& path, FileForm form) {
  std::error_code ignored;
  // A pipe's beginning, once read, would be missing for its reader.
  if (path.empty() || !std::filesystem::is_regular_file(path, ignored)) return absl::OkStatus();
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> file(gzopen(path.c_str(), "rb"), gzclose);
  if (file == nullptr) return absl::OkStatus();
  std::string text(kLooked, '\0');
  const int read = gzread(file.get(), text.data(), static_cast<unsigned>(text.size()));
  if (read < 0) return absl::OkStatus();
  text.resize(static_cast<size_t>(read));
  const bool plain = form == FileForm::kPlainJsonLines || form == FileForm::kPlainYaml;
  const bool packed = read > 0 && gzdirect(file.get()) == 0;
  const std::string got = plain && packed ? "a gzip file: unpack it first"
                                          : Got(absl::StripLeadingAsciiWhitespace(text), form);
  if (got.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(option, " ", path, ": wanted ", Wanted(form), ", got ", got));
}

}  // namespace penstock::cli
