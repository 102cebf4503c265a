#include "common/reload/file_watch.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "absl/strings/string_view.h"

namespace penstock {
namespace {

constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_CREATE | IN_DELETE | IN_ATTRIB | IN_MODIFY;

std::string FolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

int64_t Nanoseconds(const timespec& time) {
  return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

// What waits to be read is of no interest: only that something waited.
void Empty(int descriptor) {
  std::array<char, 4096> buffer;
  while (read(descriptor, buffer.data(), buffer.size()) > 0) {
  }
}

}  // namespace

FileWatch::FileWatch(bool inotify)
    : notify_(inotify ? inotify_init1(IN_NONBLOCK | IN_CLOEXEC) : -1),
      wake_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}

FileWatch::~FileWatch() {
  if (notify_ >= 0) close(notify_);
  if (wake_ >= 0) close(wake_);
}

void FileWatch::SetPaths(std::vector<std::string> paths) {
  std::map<std::string, Stamp> files;
  for (const std::string& path : paths) {
    if (files.size() >= kMostPaths) break;
    const auto known = files_.find(path);
    files.emplace(path, known != files_.end() ? known->second : Look(path));
  }
  files_ = std::move(files);
  WatchFolders();
}

void FileWatch::WatchFolders() {
  for (const int watch : watches_) inotify_rm_watch(notify_, watch);
  watches_.clear();
  folders_ = 0;
  if (notify_ < 0) return;
  std::set<std::string> folders;
  for (const auto& [path, stamp] : files_) folders.insert(FolderOf(path));
  std::set<int> watches;
  for (const std::string& folder : folders) {
    const int watch = inotify_add_watch(notify_, folder.c_str(), kEvents);
    if (watch >= 0) watches.insert(watch);
  }
  watches_.assign(watches.begin(), watches.end());
  folders_ = watches_.size();
}

FileWatch::Stamp FileWatch::Look(const std::string& path) {
  struct stat found = {};
  if (stat(path.c_str(), &found) != 0) return {};
  return {found.st_dev, found.st_ino, static_cast<int64_t>(found.st_size),
          Nanoseconds(found.st_mtim), Nanoseconds(found.st_ctim)};
}

bool FileWatch::Changed() {
  bool changed = false;
  for (auto& [path, stamp] : files_) {
    const Stamp now = Look(path);
    changed = changed || now != stamp;
    stamp = now;
  }
  // A folder may be another one by now.
  if (changed) WatchFolders();
  return changed;
}

void FileWatch::Wait(absl::Duration longest) {
  // A negative descriptor is passed over.
  std::array<pollfd, 2> waits = {{{wake_, POLLIN, 0}, {notify_, POLLIN, 0}}};
  const int64_t ms = absl::ToInt64Milliseconds(absl::Ceil(longest, absl::Milliseconds(1)));
  if (poll(waits.data(), waits.size(), static_cast<int>(std::clamp<int64_t>(ms, 0, 1 << 30))) <=
      0) {
    return;
  }
  Empty(wake_);
  if (notify_ >= 0) Empty(notify_);
}

void FileWatch::Wake() { eventfd_write(wake_, 1); }

}  // namespace penstock
