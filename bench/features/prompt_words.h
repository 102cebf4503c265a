#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "common/random.h"

namespace penstock::router {

constexpr uint64_t kSeed = 1;
constexpr double kWords = 20000;

// The word of a rank: two to nine letters.
inline std::string PromptWord(uint64_t rank) {
  CounterRandom letters(kSeed + 1, rank);
  std::string word(2 + letters.Below(8), '\0');
  for (char& c : word) c = static_cast<char>('a' + letters.Below(26));
  return word;
}

// Words by Zipf's law out of 20,000, every tenth token a number or a symbol.
inline std::string Prompt(size_t bytes, uint64_t sequence) {
  CounterRandom random(kSeed, sequence);
  std::string text;
  while (text.size() < bytes) {
    if (random.Uniform() < 0.1) {
      text += "0123456789.,:;?!()=+"[random.Below(20)];
    } else {
      text += PromptWord(static_cast<uint64_t>(std::pow(kWords, random.Uniform())));
    }
    text += ' ';
  }
  text.resize(bytes);
  return text;
}

}  // namespace penstock::router
