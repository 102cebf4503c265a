#include "router_service/learning/text/line_reader.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"

namespace penstock::router {

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(const std::string& path) {
  auto reader = absl::WrapUnique(new LineReader(path));
  reader->file_ = gzopen(path.c_str(), "rb");
  if (reader->file_ == nullptr) return absl::NotFoundError(absl::StrCat("cannot open ", path));
  reader->buffer_.resize(1 << 18);
  return reader;
}

LineReader::~LineReader() {
  if (file_ != nullptr) gzclose(file_);
}

absl::StatusOr<bool> LineReader::Next(absl::string_view& line, bool& cut) {
  line_.clear();
  cut = false;
  bool any = false;
  for (;;) {
    if (at_ == end_) {
      const int read = gzread(file_, buffer_.data(), static_cast<unsigned>(buffer_.size()));
      int code = Z_OK;
      const char* problem = gzerror(file_, &code);
      if (read < 0 || (read == 0 && code != Z_OK && code != Z_STREAM_END)) {
        return absl::InvalidArgumentError(absl::StrCat("cannot read ", path_, ": ", problem));
      }
      if (read == 0) break;
      at_ = 0;
      end_ = static_cast<size_t>(read);
    }
    any = true;
    const char* from = buffer_.data() + at_;
    const void* found = std::memchr(from, '\n', end_ - at_);
    const size_t size = found != nullptr
                            ? static_cast<size_t>(static_cast<const char*>(found) - from)
                            : end_ - at_;
    const size_t room = kLongestLine - std::min(kLongestLine, line_.size());
    line_.append(from, std::min(room, size));
    cut = cut || size > room;
    at_ += size;
    if (found == nullptr) continue;
    ++at_;
    break;
  }
  if (!any) return false;
  ++number_;
  line = line_;
  return true;
}

}  // namespace penstock::router
