#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "absl/time/time.h"

namespace penstock {

// Notices that files changed: device, inode, size or times of what a path leads to, links followed.
// So a file that is written in place, one that is renamed over another, one that comes or goes, and
// a link that is turned to another folder, as Kubernetes does with volumes of ConfigMaps, are all
// seen. inotify on the folders of the paths only shortens the wait: what it misses is found by
// looking. One thread waits; Wake may come from any.
class FileWatch {
 public:
  // Without `inotify`, or where the system has none left, files are looked at after each wait
  // alone.
  explicit FileWatch(bool inotify = true);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // From here on these files: those that were watched before as they were known, others as they are
  // now. At most kMostPaths are watched.
  static constexpr size_t kMostPaths = 4096;
  void SetPaths(std::vector<std::string> paths);

  // Returns early when something happened in a folder of the paths, or on Wake. Neither says that a
  // file changed.
  void Wait(absl::Duration longest);
  void Wake();

  // Whether a file is another than it was known to be; it is known as it is now then.
  bool Changed();
  // Folders that inotify watches.
  size_t folders() const { return folders_; }

 private:
  // Device, inode, size, time of change in nanoseconds; all 0 where there is no file.
  using Stamp = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t>;

  static Stamp Look(const std::string& path);
  void WatchFolders();

  std::map<std::string, Stamp> files_;
  std::vector<int> watches_;
  size_t folders_ = 0;
  int notify_ = -1;  // inotify's descriptor; -1: none
  int wake_ = -1;
};

}  // namespace penstock
