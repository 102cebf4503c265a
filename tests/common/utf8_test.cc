#include "common/utf8.h"

#include <cstdint>

#include "gmock/gmock.h"
#include "google/protobuf/stubs/common.h"

namespace penstock {
namespace {

TEST(IsUtf8Test, AgreesWithProtobufOnEveryShortString) {
  // Every lead byte with continuation bytes at the borders of every rule.
  constexpr uint8_t kBorders[] = {0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF};
  for (int lead = 0; lead < 256; ++lead) {
    for (const uint8_t a : kBorders) {
      for (const uint8_t b : kBorders) {
        for (const uint8_t c : kBorders) {
          const char text[] = {static_cast<char>(lead), static_cast<char>(a), static_cast<char>(b),
                               static_cast<char>(c)};
          for (int size = 1; size <= 4; ++size) {
            ASSERT_EQ(IsUtf8(absl::string_view(text, size)),
                      google::protobuf::internal::IsStructurallyValidUTF8(text, size))
                << lead << " " << int{a} << " " << int{b} << " " << int{c} << " size " << size;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace penstock
