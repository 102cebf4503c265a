#include "cli/output/table.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"

namespace penstock::cli {
namespace {

// Columns that the terminal takes: bytes that do not continue a UTF-8 sequence.
size_t Width(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

int64_t SteadyMs() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

constexpr int64_t kQuietMs = 2000;
constexpr int64_t kRedrawMs = 100;
constexpr size_t kBarWidth = 30;

}  // namespace

Table::Table(std::vector<std::string> header) { rows_.push_back(std::move(header)); }

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(rows_.front().size());
  rows_.push_back(std::move(cells));
}

std::string Table::ToString() const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - Width(row[i]), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", i == 0 ? "" : padding, row[i],
                      i == 0 ? padding : "");
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

Progress::Progress(std::string what, size_t total)
    : what_(std::move(what)),
      total_(total),
      terminal_(isatty(STDERR_FILENO) == 1),
      started_ms_(SteadyMs()) {}

Progress::~Progress() {
  if (shown_ms_ != 0) std::fprintf(stderr, "\r\033[K");
}

void Progress::Advance(size_t done) {
  if (!terminal_ || total_ == 0) return;
  const int64_t now = SteadyMs();
  if (now - started_ms_ < kQuietMs || now - shown_ms_ < kRedrawMs) return;
  shown_ms_ = now;
  const size_t filled = std::min(kBarWidth, kBarWidth * done / total_);
  std::fprintf(stderr, "\r\033[K%s [%s%s] %zu/%zu", what_.c_str(),
               std::string(filled, '#').c_str(), std::string(kBarWidth - filled, ' ').c_str(), done,
               total_);
}

}  // namespace penstock::cli
