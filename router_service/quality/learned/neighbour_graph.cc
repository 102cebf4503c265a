#include "router_service/quality/learned/neighbour_graph.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
// The distance is ours, and the library's prefetching reads one entry past the end of its lists.
#define NO_MANUAL_VECTORIZATION
#include "hnswlib/hnswlib.h"
#include "kernels/scan_int8/scan_int8.h"

namespace penstock::router {
namespace {

constexpr size_t kLinks = 16;          // of a row, twice as many on the lowest level
constexpr size_t kBuildBreadth = 200;  // candidates while a row is put in

// A point is its codes and then its factor.
float Distance(const void* a, const void* b, const void* width) {
  const size_t codes = *static_cast<const size_t*>(width);
  int32_t dot = 0;
  kernels::ScanInt8Args args;
  args.rows = 1;
  args.width = static_cast<int64_t>(codes);
  args.codes = static_cast<const int8_t*>(a);
  args.query = static_cast<const int8_t*>(b);
  args.dots = &dot;
  (void)kernels::ScanInt8(args);  // sizes are the index's own
  float of_a = 0, of_b = 0;
  std::memcpy(&of_a, static_cast<const char*>(a) + codes, sizeof(of_a));
  std::memcpy(&of_b, static_cast<const char*>(b) + codes, sizeof(of_b));
  return 1 - static_cast<float>(dot) * of_a * of_b;
}

class CodedSpace final : public hnswlib::SpaceInterface<float> {
 public:
  explicit CodedSpace(size_t width) : width_(width) {}
  size_t get_data_size() override { return width_ + sizeof(float); }
  hnswlib::DISTFUNC<float> get_dist_func() override { return Distance; }
  void* get_dist_func_param() override { return &width_; }

 private:
  size_t width_;
};

void PutPoint(absl::Span<const int8_t> code, float factor, std::vector<char>& point) {
  point.resize(code.size() + sizeof(factor));
  std::memcpy(point.data(), code.data(), code.size());
  std::memcpy(point.data() + code.size(), &factor, sizeof(factor));
}

// The library reads and writes files only: one in memory, named by its descriptor.
class MemoryFile {
 public:
  MemoryFile() : descriptor_(memfd_create("neighbour_graph", MFD_CLOEXEC)) {}
  ~MemoryFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  bool ok() const { return descriptor_ >= 0; }
  std::string path() const { return absl::StrCat("/proc/self/fd/", descriptor_); }

  bool Write(absl::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t written = write(descriptor_, bytes.data(), bytes.size());
      if (written <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return true;
  }
  std::string Read() const {
    const off_t size = lseek(descriptor_, 0, SEEK_END);
    std::string bytes(size > 0 ? static_cast<size_t>(size) : 0, '\0');
    size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t got =
          pread(descriptor_, bytes.data() + at, bytes.size() - at, static_cast<off_t>(at));
      if (got <= 0) return "";
      at += static_cast<size_t>(got);
    }
    return bytes;
  }

 private:
  const int descriptor_;
};

}  // namespace

struct NeighbourGraph::Index {
  Index(size_t rows, size_t of_width)
      : space(of_width), graph(&space, rows, kLinks, kBuildBreadth) {}
  Index(const std::string& path, size_t of_width) : space(of_width), graph(&space, path) {
    graph.num_deleted_ = 0;  // the library counts on from whatever stands there
  }

  // Links lead to rows that there are, and levels fit: what a search follows.
  bool Sound() {
    const size_t rows = graph.max_elements_;
    if (graph.cur_element_count != rows || graph.enterpoint_node_ >= rows) return false;
    if (graph.element_levels_[graph.enterpoint_node_] != graph.maxlevel_) return false;
    for (size_t row = 0; row < rows; ++row) {
      const auto at = static_cast<hnswlib::tableint>(row);
      if (graph.getExternalLabel(at) >= rows || graph.isMarkedDeleted(at)) return false;
      for (int level = 0; level <= graph.element_levels_[row]; ++level) {
        hnswlib::linklistsizeint* list = graph.get_linklist_at_level(at, level);
        const size_t links = graph.getListCount(list);
        if (links > (level == 0 ? graph.maxM0_ : graph.maxM_)) return false;
        const auto* to = reinterpret_cast<const hnswlib::tableint*>(list + 1);
        for (size_t i = 0; i < links; ++i) {
          if (to[i] >= rows || graph.element_levels_[to[i]] < level) return false;
        }
      }
    }
    return true;
  }

  CodedSpace space;
  hnswlib::HierarchicalNSW<float> graph;
};

NeighbourGraph::NeighbourGraph(std::unique_ptr<Index> index) : index_(std::move(index)) {}
NeighbourGraph::~NeighbourGraph() = default;

absl::StatusOr<std::unique_ptr<const NeighbourGraph>> NeighbourGraph::Build(const CodedRows& rows) {
  try {
    auto index = std::make_unique<Index>(rows.rows(), rows.width);
    std::vector<char> point;
    for (size_t row = 0; row < rows.rows(); ++row) {
      PutPoint(absl::MakeConstSpan(rows.codes).subspan(row * rows.width, rows.width),
               rows.factors[row], point);
      index->graph.addPoint(point.data(), row);
    }
    return absl::WrapUnique(new const NeighbourGraph(std::move(index)));
  } catch (const std::exception& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat("no graph of ", rows.rows(), " rows could be built: ", error.what()));
  }
}

absl::StatusOr<std::string> NeighbourGraph::Bytes() const {
  const MemoryFile file;
  try {
    if (file.ok()) index_->graph.saveIndex(file.path());
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("the graph cannot be written: ", error.what()));
  }
  std::string bytes = file.ok() ? file.Read() : "";
  if (bytes.empty()) return absl::InternalError("the graph cannot be written");
  return bytes;
}

absl::StatusOr<std::unique_ptr<const NeighbourGraph>> NeighbourGraph::FromBytes(
    absl::string_view bytes, size_t rows, size_t width) {
  const absl::Status bad =
      absl::InvalidArgumentError(absl::StrCat("no graph of ", rows, " rows of ", width, " codes"));
  // What the library takes from the file's beginning without asking must be what it would write.
  try {
    auto index = std::make_unique<Index>(rows, width);
    hnswlib::HierarchicalNSW<float>& graph = index->graph;
    std::string header;
    const auto put = [&header](const auto& value) {
      header.append(reinterpret_cast<const char*>(&value), sizeof(value));
    };
    put(graph.offsetLevel0_);
    put(rows);
    put(rows);
    put(graph.size_data_per_element_);
    put(graph.label_offset_);
    put(graph.offsetData_);
    const size_t varying = sizeof(graph.maxlevel_) + sizeof(graph.enterpoint_node_);
    if (rows == 0 || bytes.size() < header.size() + varying ||
        bytes.substr(0, header.size()) != header) {
      return bad;
    }
    std::string tail;
    std::swap(header, tail);
    put(graph.maxM_);
    put(graph.maxM0_);
    put(graph.M_);
    put(graph.mult_);
    put(graph.ef_construction_);
    if (bytes.substr(tail.size() + varying, header.size()) != header) return bad;
    const size_t lists =
        tail.size() + varying + header.size() + rows * graph.size_data_per_element_;
    size_t at = lists;
    for (size_t row = 0; row < rows; ++row) {
      uint32_t size = 0;
      if (bytes.size() < at + sizeof(size)) return bad;
      std::memcpy(&size, bytes.data() + at, sizeof(size));
      at += sizeof(size);
      if (size % graph.size_links_per_element_ != 0 || size > bytes.size() - at) return bad;
      at += size;
    }
    if (at != bytes.size()) return bad;
    const MemoryFile file;
    if (!file.ok() || !file.Write(bytes)) {
      return absl::ResourceExhaustedError("no memory to read a graph");
    }
    auto loaded = std::make_unique<Index>(file.path(), width);
    if (!loaded->Sound()) return bad;
    return absl::WrapUnique(new const NeighbourGraph(std::move(loaded)));
  } catch (const std::exception&) {
    return bad;
  }
}

void NeighbourGraph::Search(absl::Span<const int8_t> code, float factor, size_t count,
                            std::vector<uint32_t>& found) const {
  found.clear();
  thread_local std::vector<char> point;
  PutPoint(code, factor, point);
  // The breadth of a search is the larger of `ef`, which stays at its least, and the count asked
  // for.
  auto nearest =
      index_->graph.searchKnn(point.data(), std::min(count, index_->graph.max_elements_));
  for (; !nearest.empty(); nearest.pop()) {
    found.push_back(static_cast<uint32_t>(nearest.top().second));
  }
}

}  // namespace penstock::router
