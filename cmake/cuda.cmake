# CUDA without CMAKE_CUDA_STANDARD: CMake 3.25 knows no CUDA20 dialect, so the flag is passed by hand.
if(NOT CMAKE_CUDA_COMPILER)
  find_program(PENSTOCK_NVCC nvcc HINTS /usr/local/cuda/bin)
  if(PENSTOCK_NVCC)
    set(CMAKE_CUDA_COMPILER ${PENSTOCK_NVCC})
  endif()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real 90a-real 100a-real 90-virtual)
endif()
# CMake 3.25 inherits the C++ standard and knows no option for CUDA20: say it is the empty one.
set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "")
enable_language(CUDA)
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
find_package(CUDAToolkit REQUIRED)
add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20>")
# A spilled accumulator is a warning of ptxas alone.
if(PENSTOCK_WERROR)
  add_compile_options("$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings>"
    "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Xptxas -warn-spills>")
endif()
