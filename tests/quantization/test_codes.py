"""What is no product code is refused alike wherever codes enter: decoding, counting, an index, a search."""

import pytest
import torch

from retrieval_lib.evaluation import ADC
from retrieval_lib.index import IVFPQIndex, PQIndex
from retrieval_lib.quantization import ProductQuantizer, check_codes, codeword_usage

QUANTIZER = ProductQuantizer(torch.zeros(2, 16, 3))
ENTRANCES = {
    "check": lambda codes: check_codes(codes, 16, 2),
    "decode": QUANTIZER.decode,
    "usage": lambda codes: codeword_usage(codes, 16),
    "index": lambda codes: PQIndex(QUANTIZER).add(codes),
    "lists": lambda codes: IVFPQIndex(QUANTIZER, torch.zeros(1, 6)).add(codes),
    "search": lambda codes: ADC(torch.zeros(1, 2, 16), codes),
}


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize(
    ("codes", "found"),
    [
        (torch.zeros(3, 2), r"are torch\.float32 of shape \(3, 2\)"),
        (torch.zeros(3, 2).bool(), r"are torch\.bool of shape \(3, 2\)"),
        (torch.zeros(2).long(), r"are torch\.int64 of shape \(2,\)"),
        (torch.tensor([[0, 16]]), "go from 0 to 16"),
        (torch.tensor([[-1, 15]]), "go from -1 to 15"),
    ],
)
def test_what_is_no_code_is_refused_in_the_same_words(entrance, codes, found):
    with pytest.raises(ValueError, match=rf"codes {found}; expected integers \(N, [2M]\) from 0 to 15"):
        ENTRANCES[entrance](codes)


@pytest.mark.parametrize("entrance", [name for name in ENTRANCES if name != "usage"])
def test_a_code_has_a_number_for_each_codebook(entrance):
    with pytest.raises(ValueError, match=r"are torch\.int64 of shape \(3, 1\); expected integers \(N, 2\)"):
        ENTRANCES[entrance](torch.zeros(3, 1).long())


@pytest.mark.parametrize("entrance", ENTRANCES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_codes_of_any_integer_type_are_taken(entrance, dtype):
    ENTRANCES[entrance](torch.tensor([[0, 15], [15, 0]], dtype=dtype))


@pytest.mark.parametrize("entrance", [name for name in ENTRANCES if name != "usage"])
def test_no_codes_are_codes_too(entrance):
    ENTRANCES[entrance](torch.zeros(0, 2, dtype=torch.int64))
