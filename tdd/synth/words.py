"""The words that the synthetic speakers say: chosen so that lips tell them apart (closures, rounding, jaw)."""

ENGLISH: tuple[str, ...] = (
    *("about", "people", "window", "family", "summer", "music", "yellow", "bubble"),
    *("shampoo", "father", "morning", "question", "village", "mother", "woman", "beetle"),
    *("before", "forward", "zebra", "coffee", "pebble", "thunder", "river", "mushroom"),
    *("wonder", "balloon", "chicken", "fever", "lemon", "pilot", "russia", "tomato"),
    *("weather", "mobile", "seven", "butter", "fashion", "north", "happy", "moving"),
    *("visit", "rainbow", "cheese", "thought", "platform", "emperor", "sofa", "volume"),
    *("puppy", "whisper", "banana", "evening", "shower", "teacher", "amount", "wolves"),
    *("february", "jewel", "welcome", "theatre", "pharaoh", "minimum", "robot", "swimming"),
    *("apple", "movie", "birthday", "follow", "warmth", "champion", "vapour", "beaches"),
)
"""Seventy-two English words; a data set of n words takes the first n."""

KOREAN: tuple[str, ...] = (
    *("어머니", "바다", "구름", "우유", "피아노", "하늘", "비누", "포도"),
    *("아버지", "모자", "시계", "나무", "바람", "의자", "커피", "토마토"),
    *("사람", "부엌", "이마", "고구마", "무지개", "파도", "여우", "학교"),
    *("친구", "마음", "봄비", "오이", "지구", "팝콘", "두부", "미소"),
    *("아침", "보물", "소리", "우산", "뿌리", "가위", "주머니", "버스"),
    *("노래", "바나나", "이름", "후추", "메아리", "거북이", "포옹", "시소"),
    *("여름", "무릎", "사과", "오후", "비행기", "나비", "표범", "창문"),
    *("겨울", "밥상", "치즈", "유리", "마을", "도마뱀", "피리", "아기"),
)
"""Sixty-four Korean words, used in the same way."""

WORDS: dict[str, tuple[str, ...]] = {"en": ENGLISH, "ko": KOREAN}
"""Word list of each language that the benchmark speaks."""
