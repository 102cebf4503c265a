#include "tests/integration/digits.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "tests/integration/process.h"

namespace penstock {

std::string DigitsFile(const std::string& name) {
  return absl::StrCat(PENSTOCK_SOURCE_DIR, "/examples/digits/", name);
}

bool HaveDigitsRouter() {
  for (const char* file : {"gate", "quality", "cascade"}) {
    if (!std::filesystem::exists(DigitsFile(absl::StrCat("router/", file, ".safetensors")))) {
      return false;
    }
  }
  return true;
}

HeldOutImages HeldOutImages::Fetch(std::string& why) {
  HeldOutImages images;
  const std::string folder = absl::StrCat(PENSTOCK_SOURCE_DIR, "/build/digits");
  if (RunCommand({"python3", DigitsFile("fetch_data.py"), folder}, why) != 0) return images;
  std::ifstream file(folder + "/heldout.images.f32", std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  images.pixels_.resize(bytes.size() / sizeof(float));
  std::memcpy(images.pixels_.data(), bytes.data(), images.pixels_.size() * sizeof(float));
  return images;
}

InferRequest HeldOutImages::Request(const std::string& pool, int64_t first, int64_t count) const {
  InferRequest request;
  request.model_name = pool;
  request.inputs.push_back(
      FloatTensor("image", {count, kPixels},
                  absl::MakeConstSpan(pixels_).subspan(static_cast<size_t>(first * kPixels),
                                                       static_cast<size_t>(count * kPixels))));
  return request;
}

}  // namespace penstock
