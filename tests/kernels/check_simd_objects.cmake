# Two promises of the SIMD objects in LIBRARY that no unit test sees:
# 1. they offer the linker only their entry points: an inline function compiled with AVX flags could
#    replace the plain copy and crash an older CPU;
# 2. OPTIMISED: the tiles of `linear` keep their accumulators in registers. A spill around every
#    fused multiply-add halves the speed.
execute_process(COMMAND ${NM} -C --defined-only ${LIBRARY} OUTPUT_VARIABLE symbols
  COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ";" lines "${symbols}")
set(object "")
set(entries 0)
foreach(line IN LISTS lines)
  if(line MATCHES "^([a-z0-9_]+_(avx2|avx512|avx512bf16)\\.cc\\.o):$")
    set(object ${CMAKE_MATCH_1})
  elseif(line MATCHES ":$")
    set(object "")
  elseif(object AND line MATCHES "^[0-9a-f]+ ([A-Zuv]) (.*)$")
    if(CMAKE_MATCH_1 STREQUAL "T" AND CMAKE_MATCH_2 MATCHES "Avx(2|512|512Bf16)\\(")
      math(EXPR entries "${entries} + 1")
    else()
      message(SEND_ERROR "${object} offers ${CMAKE_MATCH_2}")
    endif()
  endif()
endforeach()
if(entries EQUAL 0)
  message(FATAL_ERROR "no entry point found in ${LIBRARY}")
endif()

if(OPTIMISED)
  execute_process(COMMAND ${OBJDUMP} -d -C --no-show-raw-insn ${LIBRARY} OUTPUT_VARIABLE assembly
    COMMAND_ERROR_IS_FATAL ANY)
  # Tiles without scales; those with them have a second set of accumulators, which may wait in memory
  # while a group is summed.
  set(hot "Tile<[^\n]*(F32Source|F16Source|Bf16Source|Bf16Pairs)")
  set(tiles 0)
  string(REPLACE ";" "," assembly "${assembly}")
  string(REPLACE "\n\n" ";" functions "${assembly}")
  foreach(function IN LISTS functions)
    if(function MATCHES "^[0-9a-f]+ <[^\n]*${hot}")
      math(EXPR tiles "${tiles} + 1")
      string(REGEX MATCH "vmov[au]p[sd] +%[yz]mm[0-9]+,[0-9a-fx-]*\\(%r[sb]p\\)" spill "${function}")
      if(spill)
        string(REGEX MATCH "${hot}[^(]*" name "${function}")
        message(SEND_ERROR "a tile of linear spills: ${spill} in ${name}")
      endif()
    endif()
  endforeach()
  if(tiles EQUAL 0)
    message(FATAL_ERROR "the tiles of linear are not in ${LIBRARY}")
  endif()
endif()
