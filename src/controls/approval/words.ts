/** 256 words a person tells apart by ear; the position is the byte. Never reorder: phrases stand in records. */
export const WORDS: readonly string[] = `
acorn album alley amber anchor ankle apple apron arena armor arrow aspen attic autumn bacon badge bagel baker
bamboo banjo barn basil basket beach beacon beetle bench berry bicycle birch biscuit blanket bottle bridge
broom bubble bucket buffalo butter button cabin cactus camel camera canal candle canoe canyon carbon carpet
castle cedar cello chalk cherry chimney cinema circus clover cobalt coconut comet copper coral cotton cradle
crater cricket crystal curtain daisy dancer desert diamond dolphin donkey dragon drum eagle easel echo
eclipse elbow ember engine envelope fabric falcon feather fern ferry fiddle flag flute forest fossil fountain
fox galaxy garden garlic gecko ginger giraffe glacier globe goblet granite grape guitar hammer harbor harp
hazel helmet heron honey horizon igloo indigo island ivory jacket jaguar jasmine jelly jigsaw jungle kayak
kettle kitchen kite koala ladder lagoon lantern lava lemon leopard lettuce library lilac lion lizard lobster
locket lotus lunar magnet mango maple marble market meadow melon mirror monkey moose mosaic moss mountain
muffin museum mustard napkin nectar needle nickel noodle nutmeg oasis ocean octopus olive onion opera orbit
orchid otter owl oyster paddle palace panda papaya parrot peach pebble pelican pencil pepper piano pickle
pigeon pillow pilot pirate planet plum pocket pony potato prism puzzle python quartz quilt rabbit radar raven
ribbon river rocket saddle sailor salmon sandal saturn scarf shadow silver spider spoon squirrel statue sugar
summit sunset teapot temple thunder tiger timber toast tulip tunnel turtle umbrella valley velvet violet
violin volcano waffle wagon walnut walrus whale willow window winter wizard wolf yogurt zebra zipper
`
  .trim()
  .split(/\s+/);
