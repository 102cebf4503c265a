#include "kernels/linear/linear_slices.h"

namespace penstock::kernels {
namespace {

// Multiply-adds of a task: about ten microseconds, a few hundred times what handing it over costs.
constexpr int64_t kTaskWork = int64_t{1} << 18;
// Panels of the widest tile: slices are whole tiles.
constexpr int64_t kWidest = 8;
// Enough that none waits long for the last.
constexpr int64_t kTasksPerThread = 4;

constexpr int64_t CeilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

LinearArgs LinearColumns(LinearArgs args, int64_t first, int64_t last) {
  LinearWeights& w = args.w;
  if (args.y_stride == 0) args.y_stride = w.out;
  const int64_t panel = first / kPanelColumns;
  if (w.panels != nullptr) {
    w.panels = static_cast<const float*>(w.panels) + panel * w.lines() * kPanelColumns;
  }
  if (w.scales != nullptr) w.scales += panel * w.groups() * kPanelColumns;
  if (w.bias != nullptr) w.bias += first;
  if (args.residual != nullptr) args.residual += first;
  if (args.y != nullptr) args.y += first;
  w.out = last - first;
  return args;
}

LinearArgs LinearRows(LinearArgs args, int64_t first, int64_t last) {
  if (args.x_stride == 0) args.x_stride = args.w.in;
  if (args.y_stride == 0) args.y_stride = args.w.out;
  if (args.x_rows != nullptr) {
    args.x_rows += first;
  } else if (args.x != nullptr) {
    args.x += first * args.x_stride;
  }
  if (args.residual != nullptr) args.residual += first * args.y_stride;
  if (args.y != nullptr) args.y += first * args.y_stride;
  args.rows = last - first;
  return args;
}

bool LinearWorthSharing(const LinearWeights& w, int64_t rows) {
  return rows * w.in * w.out >= 2 * kTaskWork;
}

int64_t LinearSliceColumns(const LinearWeights& w, int64_t rows, int64_t products, int threads) {
  if (threads == 1) return w.out;
  const int64_t panel_work = std::max<int64_t>(rows / products, 1) * w.in * kPanelColumns;
  const int64_t worth = CeilDivide(kTaskWork, std::max<int64_t>(panel_work, 1));
  const int64_t slices = CeilDivide(threads * kTasksPerThread, products);
  const int64_t panels = std::max(worth, CeilDivide(LinearPanels(w.out), slices));
  return std::min(CeilDivide(panels, kWidest) * kWidest * kPanelColumns, w.out);
}

}  // namespace penstock::kernels
