#include "bench/kernels/onednn_moe.h"

namespace penstock::kernels {

struct OneDnnMoe::Parts {};

OneDnnMoe::OneDnnMoe(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
OneDnnMoe::~OneDnnMoe() = default;
std::unique_ptr<OneDnnMoe> OneDnnMoe::Create(int64_t, int64_t, int64_t, bool) { return nullptr; }
void OneDnnMoe::SetRows(int64_t) {}
void OneDnnMoe::Run() {}

}  // namespace penstock::kernels
