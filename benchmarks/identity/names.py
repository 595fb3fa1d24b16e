"""Invented people's names, by origin. Lists are short on purpose: many share a name."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Names of one origin and how they are built; `share` of the population in percent."""

    name: str
    share: float
    families: tuple[str, ...]
    female: tuple[str, ...]
    male: tuple[str, ...]
    style: str = "plain"


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ORIGINS = (
    Origin("Scottish", 62, _words(
        "Smith Brown Wilson Campbell Stewart Robertson Thomson Anderson Reid Murray Taylor Clark"
        " Ross Watson Morrison Paterson Young Mitchell Walker Fraser Miller Gray Henderson"
        " Hamilton Johnston Duncan Graham Ferguson Kerr Davidson Bell Cameron Kelly Martin Hunter"
        " Smith-Jones Bruce-Reid Allan Grant Simpson Mackenzie Black Marshall Sinclair"),
        _words("Morag Isla Fiona Eilidh Catriona Kirsty Ailsa Heather Jean Margaret Elizabeth Anne"
               " Karen Laura Emma Sarah Olivia Sophie Emily Ava Lucy Ellie Grace Amelia Freya"),
        _words("James John William Robert David Andrew Ewan Callum Hamish Angus Jack Lewis"
               " Alexander Logan Fraser Stuart Craig Kenneth Ross Harris Rory Finlay"
               " Archie Thomas Iain")),
    Origin("Mac, Mc and O'", 10, _words(
        "MacDonald McDonald MacLeod McLeod MacKay McKay MacLean McLean McMillan MacMillan McGregor"
        " MacGregor McIntosh MacIntyre McKenna O'Neil O'Brien O'Connor O'Donnell O'Hara"),
        _words("Mairi Mhairi Seonaid Siobhán Niamh Orla Caitlin Maeve Róisín Peigi"),
        _words("Seumas Ruaridh Aonghas Seán Pádraig Declan Cormac Niall Domhnall Tormod")),
    Origin("Pakistani", 5, _words("Khan Ahmed Hussain Malik Iqbal Butt Shah Akhtar Mahmood Raza"),
        _words("Fatima Aisha Ayesha Zainab Maryam Sana Hira Nadia Saima Rabia"),
        _words("Ali Hassan Bilal Imran Usman Omar Ibrahim Yusuf Hamza Khalid"), "mohammed"),
    Origin("Sikh", 2, _words("Singh Kaur Gill Dhillon Sandhu"),
        _words("Harpreet Manpreet Simran Jaspreet Navdeep Gurleen"),
        _words("Harpreet Gurpreet Manjit Jaspreet Amrit Balwinder")),
    Origin("Indian", 2, _words("Patel Sharma Reddy Nair Iyer Rao Gupta Menon"),
        _words("Priya Anjali Divya Lakshmi Meera Kavya"),
        _words("Arjun Rahul Vijay Suresh Anil Kiran")),
    Origin("Polish", 5,
        _words("Kowalski Nowicki Wiśniewski Zieliński Lewandowski Szymański Wójcik"),
        _words("Anna Katarzyna Małgorzata Zofia Julia Łucja"),
        _words("Piotr Krzysztof Tomasz Łukasz Paweł Michał"), "slavic"),
    Origin("Bulgarian and Ukrainian", 2, _words("Ivanov Petrov Dimitrov Georgiev Kovalev"),
        _words("Olga Natalia Mariya Svetlana Iryna"),
        _words("Dmitry Sergei Andrei Aleksei Nikolai"),
        "slavic"),
    Origin("Chinese", 3, _words("Wang Li Zhang Liu Chen Chan Wong Lam Ng Cheung"),
        _words("Mei-Ling Xiao-Hong Mei-Hua Li-Na Siu-Ming Wai-Yee"),
        _words("Wei-Ming Xiao-Ming Jian-Guo Ka-Ho Wing-Kit Chi-Wai"), "order"),
    Origin("Vietnamese", 1, _words("Nguyễn Trần Lê Phạm"),
        _words("Thị-Lan Thị-Hoa Thị-Mai Ngọc-Anh"),
        _words("Văn-Minh Văn-Hùng Đức-Anh Quốc-Bảo"), "order"),
    Origin("Arabic", 3, _words("al-Hassan al-Masri el-Sayed Haddad Mansour al-Khalil Nasser"),
        _words("Fatimah Aisha Khadija Layla Noor Mariam"),
        _words("Ahmad Mohamed Hussein Yousef Abdullah Khaled"), "article"),
    Origin("Spanish and Portuguese", 2,
        _words("García López Martínez Fernández Silva Santos Pérez"),
        _words("María-José Ana Carmen Lucía Inês Sofía"),
        _words("José Juan Carlos Luís João Miguel"),
        "double"),
    Origin("Dutch and German", 1.5, _words("van-der-Berg de-Vries Müller Schröder von-Braun Jäger"),
        _words("Anneke Sanne Ursula Jürgen"), _words("Jan Pieter Jörg Günther"), "particle"),
    Origin("West African", 1, _words("Adeyemi Okafor Mensah Boateng Diallo Okonkwo"),
        _words("Ngozi Abena Amina Folake Chidinma"),
        _words("Chukwuemeka Kwame Kofi Tunde Oluwaseun")),
    Origin("One name", 0.5, _words("Suharto Nagarajan Tashi Murugan Dorje Sukarno Meenakshi Pema"),
        ("",), ("",), "mononym"),
)  # fmt: skip
