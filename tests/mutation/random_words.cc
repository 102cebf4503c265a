#include "tests/mutation/random_words.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "tests/mutation/seeds.h"

namespace penstock {
namespace {

std::string Noise(size_t size, CounterRandom& random) {
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random.Below(256));
  return bytes;
}

std::string Repeated(const std::string& piece, size_t times) {
  std::string text;
  for (size_t i = 0; i < times; ++i) text += piece;
  return text;
}

}  // namespace

std::string OddText(CounterRandom& random) {
  static const auto& odd = *new std::vector<std::string>{
      "",
      " ",
      "\xff\xfe",                               // no UTF-8
      "\xc0\x80",                               // an overlong NUL
      "\xed\xa0\x80",                           // half of a surrogate pair
      "\xf4\x90\x80\x80",                       // beyond Unicode
      "e\xcc\x81\xe2\x80\xae\xf0\x9f\x92\xa7",  // an accent apart, right to left, an emoji
      std::string("nul\0inside", 10),
      "two\r\nlines: of a header",
      "../../../../etc/passwd",
      "/etc/passwd",
      "%00%n%s%s%s",
      "{\"json\": [",
      "\"quoted\\\"",
      "label=\"value\"} 1\n#",
      "-1",
      "0",
      "18446744073709551616",
      "1e999",
      "nan",
      "inf",
      "0x10",
      ",,,",
      "tiny,tiny",
      "tiny, other, echo, spare",
      "penstock_",
      "2026-02-30T25:61:61Z"};
  switch (random.Below(8)) {
    case 0:
    case 1:
    case 2:
      return OneOf(KnownWords(), random);
    case 3:
      return Repeated(OneOf(odd, random) + "a", 1 + random.Below(300));
    case 4:
      return Noise(random.Below(64), random);
    case 5:
      // Now and then longer than any name, and longer than a page.
      return OneIn(20, random) ? std::string(random.Below(200'000), 'w')
                               : std::string(random.Below(300), 'w');
    default:
      return OneOf(odd, random);
  }
}

uint64_t OddInteger(CounterRandom& random) {
  if (OneIn(4, random)) return random.Bits() >> random.Below(64);
  // Around a power of two, either sign.
  const uint64_t power = OneIn(8, random) ? 0 : uint64_t{1} << random.Below(64);
  const uint64_t near = power + random.Below(3) - 1;
  return OneIn(3, random) ? ~near + 1 : near;
}

double OddDouble(CounterRandom& random) {
  using Limits = std::numeric_limits<double>;
  static constexpr double kOdd[] = {0,
                                    -0.0,
                                    1,
                                    -1,
                                    0.5,
                                    Limits::quiet_NaN(),
                                    Limits::infinity(),
                                    -Limits::infinity(),
                                    Limits::max(),
                                    Limits::lowest(),
                                    Limits::min(),
                                    Limits::denorm_min(),
                                    1e-300,
                                    3.5e38,
                                    1e19,
                                    -1e19,
                                    9.223372036854775807e18};
  if (OneIn(6, random)) {
    const uint64_t bits = random.Bits();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }
  return OneOf(kOdd, random);
}

}  // namespace penstock
