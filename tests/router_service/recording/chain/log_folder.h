#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "router_service/recording/chain/log_writer.h"
#include "router_service/recording/chain/segment_file.h"
#include "router_service/recording/chain/verify_log.h"
#include "tests/support/fake_clock.h"
#include "tests/support/temp_dir.h"

namespace penstock::router {

// Logs in folders, and what may become of them.
class LogFolder : public testing::Test {
 protected:
  LogReport Verify() { return Verify(folder()); }
  static LogReport Verify(const std::string& folder) {
    const auto report = VerifyLog(folder);
    EXPECT_TRUE(report.ok()) << report.status();
    return report.ok() ? *report : LogReport();
  }
  static std::string Problem(const LogReport& report) {
    return report.broken.has_value() ? report.broken->what : "";
  }
  uint64_t Bytes() const {
    uint64_t bytes = 0;
    for (const std::string& name : Segments()) bytes += std::filesystem::file_size(Path(name));
    return bytes;
  }
  std::unique_ptr<LogWriter> Open(LogWriterOptions options = {}) {
    auto writer = LogWriter::Open(folder(), std::move(options), clock_);
    EXPECT_TRUE(writer.ok()) << writer.status();
    return writer.ok() ? *std::move(writer) : nullptr;
  }
  std::string folder() const { return dir_.File("log"); }
  std::string Path(const std::string& name) const { return folder() + "/" + name; }

  static void Append(LogWriter& writer, int records, size_t bytes = 10) {
    for (int i = 0; i < records; ++i) {
      writer.Append(RecordKind::kDecision, "{\"id\":\"" + std::string(bytes, 'd') + "\"}");
    }
  }
  // The folder as it stands, elsewhere: as if the machine had stopped.
  std::string Image() {
    const std::string image = dir_.File("image" + std::to_string(++images_));
    std::filesystem::copy(folder(), image);
    return image;
  }

  std::vector<std::string> Segments() const { return SegmentsOf(folder()); }
  static std::vector<std::string> SegmentsOf(const std::string& folder) {
    std::vector<std::string> names;
    const auto segments = ListSegments(folder);
    EXPECT_TRUE(segments.ok()) << segments.status();
    if (!segments.ok()) return names;
    for (const SegmentFile& segment : *segments) names.push_back(segment.name);
    return names;
  }
  static std::string Read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
  }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  // In place: file systems take their time over files that are written anew.
  static void WriteByte(const std::string& path, size_t at, char byte) {
    std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at)).put(byte);
  }

  const TempDir dir_;
  FakeClock clock_;
  int images_ = 0;
};

}  // namespace penstock::router
