"""What a radar says of itself: north marks, sectors, status: the items of category 034.

EUROCONTROL-SPEC-0149, category 034, edition 1.29.
"""

from opencram.asterix.layout import Explicit, compound, fixed, repeated, single
from opencram.asterix.records import Category, Item

CAT034 = Category(
    34,
    "1.29",
    "service messages of a radar",
    (
        Item("010", "Data Source Identifier", fixed("SAC 8, SIC 8")),
        Item("000", "Message Type", single("8")),
        Item("030", "Time of Day", single("24 1/128 s")),
        Item("020", "Sector Number", single("8 180/2^7 deg")),
        Item("041", "Antenna Rotation Speed", single("16 1/128 s")),
        Item(
            "050",
            "System Configuration and Status",
            compound(
                ("COM", fixed("NOGO, RDPC, RDPR, OVLRDP, OVLXMT, MSC, TSV, - 1")),
                None,
                None,
                ("PSR", fixed("ANT, CHAB 2, OVL, MSC, - 3")),
                ("SSR", fixed("ANT, CHAB 2, OVL, MSC, - 3")),
                ("MDS", fixed("ANT, CHAB 2, OVLSUR, MSC, SCF, DLF, OVLSCF, OVLDLF, - 7")),
            ),
        ),
        Item(
            "060",
            "System Processing Mode",
            compound(
                ("COM", fixed("- 1, REDRDP 3, REDXMT 3, - 1")),
                None,
                None,
                ("PSR", fixed("POL, REDRAD 3, STC 2, - 2")),
                ("SSR", fixed("REDRAD 3, - 5")),
                ("MDS", fixed("REDRAD 3, CLU, - 4")),
            ),
        ),
        Item("070", "Message Count Values", repeated("TYP 5, COUNT 11")),
        Item(
            "100",
            "Generic Polar Window",
            fixed("RHOST 16 1/256 NM, RHOEND 16 1/256 NM, THETAST 16 180/2^15 deg, THETAEND 16 180/2^15 deg"),
        ),
        Item("110", "Data Filter", single("8")),
        Item("120", "3D-Position Of Data Source", fixed("HGT s16 1 m, LAT s24 180/2^23 deg, LON s24 180/2^23 deg")),
        Item("090", "Collimation Error", fixed("RNG s8 1/128 NM, AZM s8 180/2^13 deg")),
        Item("RE", "Reserved Expansion Field", Explicit()),
        Item("SP", "Special Purpose Field", Explicit()),
    ),
    ("010/SAC", "010/SIC", "000", "050/COM/NOGO", "050/COM/OVLRDP", "050/COM/OVLXMT", "050/COM/TSV"),
)
